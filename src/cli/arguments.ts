/**
 * The words after `heddle`, read by `node:util`; what cannot be read is a usage error with a hint.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { nearest } from '../gateway/config/suggestion.ts'

export type Command =
  | { readonly name: 'help' }
  | { readonly name: 'version' }
  | CheckCommand
  | UpCommand
  | TopCommand
  | AuditCommand
  | TransportsCommand
  | ChaosCommand
  | { readonly name: 'audit-help' }
  | { readonly name: 'block'; readonly args: readonly string[] }
  | { readonly name: 'openapi'; readonly args: readonly string[] }
  | { readonly name: 'call'; readonly args: readonly string[] }
  | { readonly name: 'usage'; readonly message: string }

export interface CheckCommand {
  readonly name: 'check'
  readonly file: string
  readonly print: boolean
  /** Whether certificates, keys and other files that it names are opened. */
  readonly files: boolean
}

export interface AuditCommand {
  readonly name: 'audit'
  readonly files: readonly string[]
  readonly keyFile: string | undefined
  readonly checkpoint: string | undefined
  readonly publicKeyFile: string | undefined
  readonly partial: boolean
  readonly json: boolean
}

export interface UpCommand {
  readonly name: 'up'
  /** Undefined: the built-in configuration. */
  readonly file: string | undefined
  readonly print: boolean
  /** Values for `${HEDDLE_…}` in the configuration. */
  readonly overrides: Readonly<Record<string, string>>
  readonly quiet: boolean
  /** Modules that are loaded first: the OpenTelemetry SDK, say. */
  readonly imports: readonly string[]
}

export interface TopCommand {
  readonly name: 'top'
  /** Undefined: as the environment says, or the default. */
  readonly admin: string | undefined
  readonly tokenFile: string | undefined
  readonly once: boolean
  readonly json: boolean
}

export interface TransportsCommand {
  readonly name: 'transports'
  readonly json: boolean
  /** Time that one probe may take. */
  readonly timeoutMs: number
}

/** Its words are read by itself (chaos.ts). */
export interface ChaosCommand {
  readonly name: 'chaos'
  readonly args: readonly string[]
}

export function readArguments(args: readonly string[]): Command {
  const [first, ...rest] = args
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    return { name: 'help' }
  }
  if (first === '--version' || first === '-v' || first === 'version') return { name: 'version' }
  if (first === 'up') return readUp(rest)
  if (first === 'check') return readCheck(rest)
  if (first === 'top') return readTop(rest)
  if (first === 'audit') return readAudit(rest)
  if (first === 'block') return { name: 'block', args: rest }
  if (first === 'openapi') return { name: 'openapi', args: rest }
  if (first === 'call') return { name: 'call', args: rest }
  if (first === 'transports') return readTransports(rest)
  if (first === 'chaos') return { name: 'chaos', args: rest }
  const hint = nearest(first, COMMANDS)
  const meant = hint === undefined ? '' : `; did you mean '${hint}'?`
  const what = first.startsWith('-') ? 'option' : 'command'
  return { name: 'usage', message: `unknown ${what} '${first}'${meant}` }
}

function readUp(args: readonly string[]): Command {
  const parsed = parse(args, UP_OPTIONS)
  if (typeof parsed === 'string') return { name: 'usage', message: parsed }
  const { values, positionals } = parsed
  if (values['help'] === true) return { name: 'help' }
  if (positionals.length > 1) {
    return { name: 'usage', message: `one configuration file, not ${positionals.length}` }
  }
  const overrides: Record<string, string> = {}
  for (const [flag, variable] of Object.entries(ADDRESS_FLAGS)) {
    const value = values[flag]
    if (typeof value === 'string') overrides[variable] = value
  }
  return {
    name: 'up',
    file: positionals[0],
    print: values['print-effective'] === true,
    overrides,
    quiet: values['quiet'] === true,
    imports: (values['import'] ?? []) as readonly string[],
  }
}

function readCheck(args: readonly string[]): Command {
  const parsed = parse(args, CHECK_OPTIONS)
  if (typeof parsed === 'string') return { name: 'usage', message: parsed }
  const { values, positionals } = parsed
  if (values['help'] === true) return { name: 'help' }
  const [file, ...more] = positionals
  if (file === undefined || more.length > 0) {
    return { name: 'usage', message: 'check takes one configuration file' }
  }
  const files = values['no-files'] !== true
  return { name: 'check', file, print: values['print-effective'] === true, files }
}

function readTop(args: readonly string[]): Command {
  const parsed = parse(args, TOP_OPTIONS)
  if (typeof parsed === 'string') return { name: 'usage', message: parsed }
  const { values, positionals } = parsed
  if (values['help'] === true) return { name: 'help' }
  if (positionals.length > 0) {
    return { name: 'usage', message: 'top takes no arguments; --admin says which gateway' }
  }
  return {
    name: 'top',
    admin: values['admin'] as string | undefined,
    tokenFile: values['token-file'] as string | undefined,
    once: values['once'] === true,
    json: values['json'] === true,
  }
}

function readAudit(args: readonly string[]): Command {
  const parsed = parse(args, AUDIT_OPTIONS)
  if (typeof parsed === 'string') return { name: 'usage', message: parsed }
  const { values, positionals } = parsed
  if (values['help'] === true) return { name: 'audit-help' }
  const [verb, ...files] = positionals
  if (verb !== 'verify') {
    const hint = verb === undefined ? '' : `, not '${verb}'`
    return { name: 'usage', message: `audit has one command, verify${hint}` }
  }
  if (files.length === 0) return { name: 'usage', message: 'audit verify takes at least one file' }
  const text = (name: string) => {
    const value = values[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    name: 'audit',
    files,
    keyFile: text('key-file'),
    checkpoint: text('checkpoint'),
    publicKeyFile: text('public-key-file'),
    partial: values['partial'] === true,
    json: values['json'] === true,
  }
}

function readTransports(args: readonly string[]): Command {
  const parsed = parse(args, TRANSPORTS_OPTIONS)
  if (typeof parsed === 'string') return { name: 'usage', message: parsed }
  const { values, positionals } = parsed
  if (values['help'] === true) return { name: 'help' }
  if (positionals.length > 0) return { name: 'usage', message: 'transports takes no arguments' }
  const timeout = (values['timeout'] ?? '3000') as string
  if (!/^[1-9]\d{0,5}$/.test(timeout)) {
    return { name: 'usage', message: `--timeout is '${timeout}', must be milliseconds` }
  }
  return { name: 'transports', json: values['json'] === true, timeoutMs: Number(timeout) }
}

type Options = NonNullable<ParseArgsConfig['options']>

interface Parsed {
  readonly values: Readonly<Record<string, unknown>>
  readonly positionals: readonly string[]
}

function parse(args: readonly string[], options: Options): Parsed | string {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    const unknown = /^Unknown option '(-[^']*)'/.exec((error as Error).message)?.[1]
    if (unknown === undefined) return (error as Error).message
    const hint = nearest(unknown.replace(/^-+/, ''), Object.keys(options))
    return `unknown option '${unknown}'${hint === undefined ? '' : `; did you mean '--${hint}'?`}`
  }
}

/** `8080` is a port on loopback. */
export function toAddress(text: string): string {
  return /^\d{1,5}$/.test(text) ? `127.0.0.1:${text}` : text
}

/** Flags for addresses, and the variables that the configuration reads. */
export const ADDRESS_FLAGS: Readonly<Record<string, string>> = Object.freeze({
  http: 'HEDDLE_HTTP',
  https: 'HEDDLE_HTTPS',
  admin: 'HEDDLE_ADMIN',
})

const UP_OPTIONS: Options = {
  http: { type: 'string' },
  https: { type: 'string' },
  admin: { type: 'string' },
  'print-effective': { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  import: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
}
const CHECK_OPTIONS: Options = {
  'no-files': { type: 'boolean' },
  'print-effective': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
}
const TOP_OPTIONS: Options = {
  admin: { type: 'string' },
  'token-file': { type: 'string' },
  once: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
}
const AUDIT_OPTIONS: Options = {
  'key-file': { type: 'string' },
  checkpoint: { type: 'string' },
  'public-key-file': { type: 'string' },
  partial: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
}
const TRANSPORTS_OPTIONS: Options = {
  json: { type: 'boolean' },
  timeout: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
}
const COMMANDS = [
  ...['up', 'check', 'top', 'call', 'audit', 'transports', 'chaos', 'block', 'openapi'],
  ...['help', 'version'],
]

export const HELP = `heddle: any protocol over any transport

  heddle up [config.yaml]      runs the gateway; without a file, a demo on loopback
    --http <address>           address or port of the demo's HTTP listener   (HEDDLE_HTTP, 8080)
    --https <address>          … of its HTTPS listener                       (HEDDLE_HTTPS, 8443)
    --admin <address>          … of admin and dashboard                      (HEDDLE_ADMIN, 9901)
    --print-effective          prints the configuration with all defaults, and stops
    --import <module>          load it first, as an OpenTelemetry SDK; may be repeated
    -q, --quiet                no banner
  heddle check <config.yaml>   says what is wrong with a configuration
    --print-effective          prints it with all defaults, secrets left out
    --no-files                 does not open the certificates, keys and bodies it names
  heddle top                   shows a running gateway in the terminal
    --admin <address>          address, port or URL of its admin service     (HEDDLE_ADMIN, 9901)
    --token-file <file>        bearer token, where something in front wants one
                               (HEDDLE_ADMIN_TOKEN)
    --once                     prints it once, as when it is piped
    --json                     … as JSON
  heddle call <address> <service>/<method>   calls gRPC or HTTP with JSON (heddle call --help)
  heddle transports            lists what this machine can do, and why not
    --json                     … as JSON
    --timeout <ms>             time that one probe may take                  (3000)
  heddle chaos                 breaks connections on purpose (heddle chaos --help)
  heddle openapi <schema …>    prints the OpenAPI document of a gRPC schema (heddle openapi --help)
  heddle audit verify <files>  says whether an audit log was touched (heddle audit --help)
  heddle block <command>       makes, verifies, sends and receives signed blocks (heddle block --help)
  heddle --version
  heddle --help

Signals: SIGHUP reads the configuration again, SIGUSR1 opens the access log again,
SIGTERM and SIGINT finish what is in flight and stop; a second one stops at once.
`

export const AUDIT_HELP = `heddle audit verify <file …>   reads an audit log and says where it was touched first

  All files of the log in any order: audit.log and those put aside, audit.log.*

    --key-file <file>          the key of a keyed log (audit_log.key_file)
    --checkpoint <file>        a checkpoint, best a copy kept elsewhere: finds an end that was cut off
    --public-key-file <file>   wants the checkpoint to be signed by this Ed25519 key, PEM
    --partial                  the files may begin in the middle of the log
    --json                     the report as JSON

Found out: changed, missing, doubled, moved and inserted records, a torn end. Only with a checkpoint:
records cut off at the end, and a log without a key that was computed anew.

Exit codes: 0 untouched, 1 touched, 64 wrong arguments, 66 no such file, 77 no permission, 78 wrong key file
`
