/**
 * The certificates that a configuration names: what they are, when they end, whether they and their
 * keys can be used. For `heddle check`, and for the warnings of a running gateway.
 */
import { X509Certificate } from 'node:crypto'
import { toError } from '../core/errors.ts'
import {
  type CertificateInfo,
  certificateInfo,
  checkCredentials,
} from '../transports/tls/certificate-check.ts'
import { daysLeft, expiryMark } from '../transports/tls/expiry-watch.ts'
import type { TlsCredentials } from '../transports/tls/tls-options.ts'
import type { GatewayConfig } from './config/schema/gateway.ts'
import type { ListenerTlsConfig } from './config/schema/listener.ts'
import { FileProblems, GatewayFiles } from './gateway-files.ts'
import { checkDiscoveryFiles } from './upstream/discovery-files.ts'

type CertificateConfig = ListenerTlsConfig['certificates'][number]

/** What the TLS transport takes, with the names of the files for its messages. */
export function credentialsOf(one: CertificateConfig, files: GatewayFiles): TlsCredentials {
  const file = one.passphrase_file
  const passphrase = file === undefined ? one.passphrase : files.text(file).replace(/\r?\n$/, '')
  return {
    certificate: files.text(one.cert_file),
    key: files.text(one.key_file),
    name: `${one.cert_file} and ${one.key_file}`,
    ...(passphrase !== undefined && { passphrase }),
  }
}

/** Every certificate that is shown to somebody; those that cannot be read are not among them. */
export function certificatesOf(config: GatewayConfig, files: GatewayFiles): CertificateInfo[] {
  const found = new Map<string, CertificateInfo>()
  for (const file of certificateFilesOf(config)) {
    try {
      const info = certificateInfo(new X509Certificate(files.text(file)))
      found.set(info.fingerprint256, info)
    } catch {
      // Whoever shows it has said so already.
    }
  }
  return [...found.values()]
}

export interface FileFindings {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  /** Every problem is a permission: another exit code. */
  readonly denied: boolean
}

/** Opens everything the configuration names. */
export async function checkFiles(config: GatewayConfig, wallNow: number): Promise<FileFindings> {
  const files = await GatewayFiles.read(config)
  if (files instanceof FileProblems) {
    const problems = files.problems.map(({ message }) => message)
    return { problems, warnings: [], denied: files.problems.every(({ denied }) => denied) }
  }
  const problems: string[] = []
  for (const credentials of allCredentials(config, files)) {
    try {
      checkCredentials(credentials, credentials.name ?? '')
    } catch (error) {
      problems.push(toError(error).message)
    }
  }
  const discovery = await checkDiscoveryFiles(config.clusters)
  problems.push(...discovery.problems)
  const warnings = [...warningsOf(config, files, wallNow), ...discovery.warnings]
  return { problems, warnings, denied: false }
}

function warningsOf(config: GatewayConfig, files: GatewayFiles, wallNow: number): string[] {
  const warnings: string[] = []
  for (const { subject, validToMs } of certificatesOf(config, files)) {
    const mark = expiryMark(validToMs, wallNow)
    if (mark === undefined) continue
    const end = new Date(validToMs).toISOString()
    const days = daysLeft(validToMs, wallNow)
    const when = mark === 0 ? `ended ${end}` : `ends in ${days} days, ${end}`
    warnings.push(`the certificate of ${subject} ${when}`)
  }
  const single = (pins: readonly string[] | undefined) => new Set(pins).size === 1
  for (const { name, tls } of config.clusters) {
    if (single(tls?.pins)) warnings.push(`cluster ${name}: ${SINGLE_PIN}`)
  }
  for (const { name, tls } of config.listeners) {
    if (single(tls?.client_pins)) warnings.push(`listener ${name}: ${SINGLE_PIN}`)
    if (tls?.key_log_file !== undefined) {
      warnings.push(`listener ${name}: key_log_file gives away every connection`)
    }
  }
  return warnings
}

function* allCredentials(config: GatewayConfig, files: GatewayFiles): Iterable<TlsCredentials> {
  for (const { tls } of config.listeners) {
    for (const one of tls?.certificates ?? []) yield credentialsOf(one, files)
  }
  for (const { tls } of config.clusters) {
    const { cert_file: cert, key_file: key } = tls ?? {}
    if (cert === undefined || key === undefined) continue
    const name = `${cert} and ${key}`
    yield { certificate: files.text(cert), key: files.text(key), name }
  }
}

function certificateFilesOf(config: GatewayConfig): Set<string> {
  const files = new Set<string>()
  for (const { tls } of config.listeners) {
    for (const { cert_file } of tls?.certificates ?? []) files.add(cert_file)
  }
  for (const { tls } of config.clusters) if (tls?.cert_file !== undefined) files.add(tls.cert_file)
  return files
}

const SINGLE_PIN = 'a single pin: when its key is lost, nobody connects any more'
