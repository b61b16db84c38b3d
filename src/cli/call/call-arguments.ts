/** The words after `heddle call`. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { UsageError } from '../../core/errors.ts'
import { nearest } from '../../gateway/config/suggestion.ts'

export type CallCommand = CallOptions &
  (
    | { readonly kind: 'rpc'; readonly service: string; readonly method: string }
    | { readonly kind: 'list'; readonly symbol: string | undefined }
    | { readonly kind: 'describe'; readonly symbol: string | undefined }
    | { readonly kind: 'http'; readonly httpMethod: string }
  )

export interface CallOptions {
  readonly url: URL
  /** As given: JSON, `@file`, `@-`. */
  readonly data: readonly string[]
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly protocol: 'grpc' | 'grpc-web' | 'connect'
  readonly version: 'auto' | '1.1' | '2'
  readonly protos: readonly string[]
  readonly importPaths: readonly string[]
  readonly descriptorSets: readonly string[]
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly ca: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
  readonly verify: boolean
  readonly serverName: string | undefined
  readonly authority: string | undefined
  readonly compact: boolean
  readonly emitDefaults: boolean
  readonly verbose: boolean
}

/** @throws UsageError: what is wrong. Undefined: help is asked for. */
export function readCallArguments(args: readonly string[]): CallCommand | undefined {
  const { values, positionals } = parse(args)
  const [first] = positionals
  if (values['help'] === true || first === undefined || first === 'help') return undefined
  const http = /^[A-Z]{3,10}$/.test(first)
  const where = http ? positionals[1] : first
  if (where === undefined) throw wrong(`${first} needs a URL`)
  const options = readOptions(values, where)
  if (http) {
    if (positionals.length > 2) throw wrong(`one URL, not ${positionals.length - 1}`)
    return { ...options, kind: 'http', httpMethod: first }
  }
  const [, what, symbol, ...more] = positionals
  if (what === undefined) {
    throw wrong(`what to call? <service>/<method>, list or describe after ${where}`)
  }
  if (more.length > 0) throw wrong(`'${more[0]}' is one word too many`)
  if (what === 'list' || what === 'describe') return { ...options, kind: what, symbol }
  if (symbol !== undefined) throw wrong(`'${symbol}' is one word too many; -d brings the message`)
  return { ...options, kind: 'rpc', ...readMethod(what) }
}

/** `acme.v1.Users/Get`, with a slash in front, or with a dot instead of the slash. */
function readMethod(text: string): { service: string; method: string } {
  const match = /^\/?([\w.]+)[/.](\w+)$/.exec(text)
  const [, service, method] = match ?? []
  if (service !== undefined && method !== undefined) return { service, method }
  throw wrong(`'${text}' is no method: package.Service/Method`)
}

function readOptions(values: Values, where: string): CallOptions {
  const protocol = text(values, 'protocol') ?? 'grpc'
  if (protocol !== 'grpc' && protocol !== 'grpc-web' && protocol !== 'connect') {
    throw wrong(`--protocol is '${protocol}', must be grpc, grpc-web or connect`)
  }
  const version = text(values, 'http') ?? 'auto'
  if (version !== 'auto' && version !== '1.1' && version !== '2') {
    throw wrong(`--http is '${version}', must be auto, 1.1 or 2`)
  }
  const [certificate, key] = [text(values, 'cert'), text(values, 'key')]
  if ((certificate === undefined) !== (key === undefined)) {
    throw wrong('--cert and --key go together')
  }
  return {
    url: readUrl(where, values['plaintext'] === true),
    data: list(values, 'data'),
    headers: list(values, 'header').map(readHeader),
    protocol,
    version,
    protos: list(values, 'proto'),
    importPaths: list(values, 'import-path'),
    descriptorSets: list(values, 'descriptor-set'),
    timeoutMs: readTimeout(text(values, 'timeout') ?? DEFAULT_TIMEOUT),
    maxBytes: readBytes(text(values, 'max-bytes')),
    ca: text(values, 'cacert'),
    certificate,
    key,
    verify: values['insecure'] !== true,
    serverName: text(values, 'server-name'),
    authority: text(values, 'authority'),
    compact: values['compact'] === true,
    emitDefaults: values['emit-defaults'] === true,
    verbose: values['verbose'] === true,
  }
}

/** Without a scheme it is TLS, unless `--plaintext` says otherwise. */
function readUrl(where: string, plaintext: boolean): URL {
  const schemed = /^[a-z][a-z0-9+]*:\/?/i.test(where) && !/^[\w.-]+:\d/.test(where)
  const full = schemed ? where : `${plaintext ? 'http' : 'https'}://${where}`
  const mapped = full.replace(/^grpc(s?):\/\//i, 'http$1://')
  const url = URL.canParse(mapped) ? new URL(mapped) : undefined
  const known = url !== undefined && /^https?:$|^http\+unix:$/.test(url.protocol)
  if (!known) throw wrong(`'${where}' is no address: https://host, http://host:port or host:port`)
  if (plaintext && url.protocol === 'https:') {
    throw wrong('--plaintext and https:// do not go together')
  }
  return url
}

function readHeader(header: string): readonly [string, string] {
  const colon = header.indexOf(':')
  if (colon < 1) {
    // Its text may be a secret that was pasted without its name: it is not shown.
    throw wrong("a header is 'name: value'")
  }
  return [header.slice(0, colon).trim().toLowerCase(), header.slice(colon + 1).trim()]
}

function readTimeout(timeout: string): number {
  const match = /^(\d{1,9})(ms|s|m)?$/.exec(timeout)
  const unit = match?.[2] === 's' ? 1_000 : match?.[2] === 'm' ? 60_000 : 1
  const ms = Number(match?.[1] ?? 0) * unit
  if (ms > 0) return ms
  throw wrong(`--timeout is '${timeout}', must be a time such as 500ms, 5s or 2m`)
}

function readBytes(bytes: string | undefined): number {
  if (bytes === undefined) return DEFAULT_MAX_BYTES
  if (/^[1-9]\d{0,9}$/.test(bytes) && Number(bytes) <= 0xffff_ffff) return Number(bytes)
  throw wrong(`--max-bytes is '${bytes}', must be a number of bytes, at most 4294967295`)
}

type Values = Readonly<Record<string, unknown>>

function text(values: Values, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

function list(values: Values, name: string): string[] {
  const value = values[name]
  return Array.isArray(value) ? value.map(String) : []
}

function parse(args: readonly string[]): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    const unknown = /^Unknown option '(-[^']*)'/.exec((error as Error).message)?.[1]
    if (unknown === undefined) throw wrong((error as Error).message)
    const hint = nearest(unknown.replace(/^-+/, ''), Object.keys(OPTIONS))
    const meant = hint === undefined ? '' : `; did you mean '--${hint}'?`
    throw wrong(`unknown option '${unknown}'${meant}`)
  }
}

function wrong(message: string): UsageError {
  return new UsageError('ERR_ARGUMENT', message)
}

const DEFAULT_TIMEOUT = '30s'
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024

const OPTIONS: NonNullable<ParseArgsConfig['options']> = {
  data: { type: 'string', short: 'd', multiple: true },
  header: { type: 'string', short: 'H', multiple: true },
  protocol: { type: 'string' },
  http: { type: 'string' },
  proto: { type: 'string', multiple: true },
  'import-path': { type: 'string', short: 'I', multiple: true },
  'descriptor-set': { type: 'string', multiple: true },
  timeout: { type: 'string' },
  'max-bytes': { type: 'string' },
  plaintext: { type: 'boolean' },
  insecure: { type: 'boolean', short: 'k' },
  cacert: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
  'server-name': { type: 'string' },
  authority: { type: 'string' },
  compact: { type: 'boolean', short: 'c' },
  'emit-defaults': { type: 'boolean' },
  verbose: { type: 'boolean', short: 'v' },
  help: { type: 'boolean', short: 'h' },
}

export const CALL_HELP = `heddle call <address> <service>/<method>   calls a method of a gRPC service with JSON
heddle call <address> list [service]       the services of a server, or the methods of one
heddle call <address> describe [symbol]    a service, method, message or enum, as in a .proto file
heddle call <METHOD> <url>                 an HTTP request: GET, POST, PUT, …

  <address> is https://host[:port], http://host:port, or host:port with TLS. The schema comes from the
  server by reflection, unless --proto or --descriptor-set bring it.

    -d, --data <json>          the message; repeated for streams; @file, or @- for standard input
                               (streams: one JSON document a line, sent as they come)
    -H, --header <name: value> metadata, or a header; may be repeated; names in -bin take base64
    --protocol <name>          grpc, grpc-web or connect                     (grpc)
    --http <version>           1.1, 2, or auto: what TLS agrees on; without TLS 2 for gRPC, else 1.1
    --proto <file>             a .proto file; may be repeated
    -I, --import-path <dir>    where .proto files are looked for             (.)
    --descriptor-set <file>    as buf build -o or protoc --descriptor_set_out write it
    --timeout <time>           of the whole call: 500ms, 5s, 2m              (30s)
    --max-bytes <n>            longest reply                                 (67108864)

    --plaintext                host:port without TLS
    --cacert <file>            certificates that sign the server's           (the system's)
    --cert, --key <file>       our own certificate, PEM
    --server-name <name>       the name that its certificate must have       (the host)
    --authority <name>         sent as :authority or Host                    (the host)
    -k, --insecure             does not verify the server: anybody may answer

    -c, --compact              a reply on one line, as the replies of a stream are
    --emit-defaults            fields that have their default value too
    -v, --verbose              headers, trailers, status and time, on standard error

  heddle call localhost:8080 --plaintext acme.v1.Users/Get -d '{"id": 7}'
  heddle call https://api.example describe acme.v1.Users
  heddle call POST https://api.example/v1/users -d '{"name": "Ada"}' -H 'authorization: Bearer …'

Exit codes: 0 well, 1 the answer is an error (a status other than OK, HTTP 400 and above), 64 wrong
arguments or JSON, 66 no such file, 69 the server cannot be reached, 130 interrupted
`
