/**
 * Every file that a configuration names, read once when it is loaded: certificates, keys, secrets,
 * bodies. What is wrong with one is a problem of the configuration, with the place that names it.
 */
import { readFile } from 'node:fs/promises'
import { UsageError } from '../core/errors.ts'
import { filesOfAuthentication } from './access/authentication-plan.ts'
import { filesOfAuthorization } from './access/authorization-plan.ts'
import { errorCodeOf } from './config/file-error.ts'
import type { AccessConfig } from './config/schema/access.ts'
import type { GatewayConfig } from './config/schema/gateway.ts'
import type { RouteConfig } from './config/schema/route.ts'
import type { TranscodeConfig } from './config/schema/transcode.ts'
import { filesOfRoutes } from './http/http-route.ts'
import { type RouteTranscoding, routeTranscoding } from './transcoding/route-transcoding.ts'
import { filesOfCredentials } from './upstream/cluster-credentials.ts'

export class GatewayFiles {
  readonly #texts: ReadonlyMap<string, string>
  readonly #transcodings: ReadonlyMap<TranscodeConfig, RouteTranscoding>

  private constructor(
    texts: ReadonlyMap<string, string>,
    transcodings: ReadonlyMap<TranscodeConfig, RouteTranscoding>,
  ) {
    this.#texts = texts
    this.#transcodings = transcodings
  }

  /** @returns the files, or what cannot be read and why */
  static async read(config: GatewayConfig): Promise<GatewayFiles | FileProblems> {
    const texts = new Map<string, string>()
    const problems: FileProblem[] = []
    for (const name of new Set(filesOf(config))) {
      try {
        texts.set(name, await readFile(name, 'utf8'))
      } catch (error) {
        const { code, text } = errorCodeOf(error)
        problems.push({ message: `${name} cannot be read: ${text}`, denied: code === 'EACCES' })
      }
    }
    const transcodings = new Map<TranscodeConfig, RouteTranscoding>()
    for (const { name, transcode } of routesOf(config)) {
      if (transcode === undefined) continue
      try {
        const made = await routeTranscoding(transcode)
        transcodings.set(transcode, made)
        for (const [file, content] of made.contents) texts.set(`schema ${file}`, content)
      } catch (error) {
        problems.push(schemaProblem(name, error))
      }
    }
    return problems.length === 0
      ? new GatewayFiles(texts, transcodings)
      : new FileProblems(problems)
  }

  transcoding(config: TranscodeConfig): RouteTranscoding {
    const made = this.#transcodings.get(config)
    if (made === undefined) throw new Error('the schema was not read')
    return made
  }

  text(name: string): string {
    const text = this.#texts.get(name)
    if (text === undefined) throw new Error(`${name} was not read`)
    return text
  }

  /** Whether both name the same files with the same content. */
  equals(other: GatewayFiles): boolean {
    if (this.#texts.size !== other.#texts.size) return false
    return [...this.#texts].every(([name, text]) => other.#texts.get(name) === text)
  }

  /** The content of these, as one text: what a certificate is made of changes with its files. */
  fingerprint(names: readonly (string | undefined)[]): string {
    return names.map((name) => (name === undefined ? '' : this.text(name))).join('\n')
  }
}

export interface FileProblem {
  readonly message: string
  /** Permission denied: another exit code. */
  readonly denied: boolean
}

export class FileProblems {
  readonly problems: readonly FileProblem[]

  constructor(problems: readonly FileProblem[]) {
    this.problems = problems
  }
}

function routesOf({ routes, listeners }: GatewayConfig): RouteConfig[] {
  return [...routes, ...listeners.flatMap((listener) => listener.routes ?? [])]
}

function schemaProblem(route: string | undefined, error: unknown): FileProblem {
  const where = route === undefined ? 'transcode' : `route ${route}, transcode`
  if (error instanceof UsageError) return { message: `${where}: ${error.message}`, denied: false }
  const { code, text } = errorCodeOf(error)
  const { path = 'the schema' } = error as { path?: string }
  return { message: `${where}: ${path} cannot be read: ${text}`, denied: code === 'EACCES' }
}

function filesOf(config: GatewayConfig): string[] {
  const files = [...filesOfRoutes(config.routes), ...config.routes.flatMap(filesOfAccess)]
  const { key_file: key, signing_key_file: signingKey } = config.audit_log
  files.push(...[key, signingKey].filter((name) => name !== undefined))
  for (const listener of config.listeners) {
    const routes = listener.routes ?? []
    files.push(...filesOfRoutes(routes), ...filesOfListenerTls(listener.tls))
    files.push(...[listener, ...routes].flatMap(filesOfAccess))
  }
  for (const { tls, credentials } of config.clusters) {
    files.push(...filesOfUpstreamTls(tls), ...filesOfCredentials(credentials))
  }
  return files
}

export function filesOfAccess({ authentication, authorization }: AccessConfig): string[] {
  return [...filesOfAuthentication(authentication), ...filesOfAuthorization(authorization)]
}

export function filesOfListenerTls(tls: GatewayConfig['listeners'][number]['tls']): string[] {
  if (tls === undefined) return []
  const { client_ca_file: ca, client_crl_file: crl, session_tickets: tickets } = tls
  const files = [ca, crl, tickets?.secret_file].filter((name) => name !== undefined)
  for (const { cert_file, key_file, passphrase_file } of tls.certificates) {
    files.push(cert_file, key_file)
    if (passphrase_file !== undefined) files.push(passphrase_file)
  }
  return files
}

export function filesOfUpstreamTls(tls: GatewayConfig['clusters'][number]['tls']): string[] {
  if (tls === undefined) return []
  return [tls.ca_file, tls.cert_file, tls.key_file, tls.crl_file].filter(
    (name) => name !== undefined,
  )
}
