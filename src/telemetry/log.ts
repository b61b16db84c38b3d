/**
 * Structured logs: one JSON object per line, written to whatever takes lines.
 *
 *     {"ts":"2026-11-24T19:30:00.000Z","level":"warn","msg":"upstream failed","cluster":"api",
 *      "err":{"code":"ERR_RESET","message":"the connection was reset"}}
 *
 * Names are those of CONVENTIONS section 7: `ts`, `level`, `msg`, `worker_id`, `connection_id`,
 * `protocol`, `transport`, `peer`, `trace_id`, `span_id`, `correlation_id`, `err.code`.
 *
 * **Secrets stay out.** The value of a field whose name is on the redaction list is replaced at any
 * depth. **Bounded.** Depth, entries and text length of what is logged have limits, so that one
 * object graph cannot stop the process or fill the disk.
 */
import type { Clock } from '../core/clock.ts'
import { checkInteger, UsageError } from '../core/errors.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  /** Whether a line of that level would be written: ask before computing what is costly. */
  isEnabled(level: LogLevel): boolean
  debug(msg: string, fields?: LogFields): void
  info(msg: string, fields?: LogFields): void
  warn(msg: string, fields?: LogFields): void
  /** An error belongs into the field `err`. */
  error(msg: string, fields?: LogFields): void
  /** A logger whose lines all carry `fields`, encoded once. */
  child(fields: LogFields): Logger
}

/** Takes whole lines, each with its newline. Must not throw. */
export type LineSink = (line: string) => void

export interface LoggerOptions {
  /** @default 'info' */
  level?: LogLevel | 'silent'
  /** Names whose values are never written, without case, at any depth. @default a list of usual ones */
  redact?: readonly string[]
  /** Longest text of one value in UTF-16 units; the rest is cut off. @default 4_096 */
  maxTextLength?: number
  /** Deepest nesting that is written. @default 6 */
  maxDepth?: number
  /** Most entries of one object or array. @default 100 */
  maxEntries?: number
}

export const loggerDefaults: Readonly<Required<LoggerOptions>> = Object.freeze({
  level: 'info',
  redact: Object.freeze([
    'authorization',
    'proxy-authorization',
    'cookie',
    'set-cookie',
    'password',
    'passwd',
    'passphrase',
    'secret',
    'token',
    'access_token',
    'refresh_token',
    'id_token',
    'api_key',
    'apikey',
    'x-api-key',
    'private_key',
    'client_secret',
  ]),
  maxTextLength: 4_096, // a stack trace of usual depth
  maxDepth: 6,
  maxEntries: 100,
})

/**
 * @param sink where lines go
 * @param clock for `ts`
 */
export function jsonLogger(
  sink: LineSink,
  clock: Pick<Clock, 'wallNow'>,
  options: LoggerOptions = {},
): Logger {
  const { level = loggerDefaults.level } = options
  const rank = RANKS[level]
  if (rank === undefined) throw new UsageError('ERR_OPTION_RANGE', `level: ${level}`)
  return new JsonLogger(sink, clock, rank, new Encoder(options), '')
}

/** Writes nothing. */
export const silentLogger: Logger = Object.freeze({
  isEnabled: () => false,
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
})

class JsonLogger implements Logger {
  readonly #sink: LineSink
  readonly #clock: Pick<Clock, 'wallNow'>
  readonly #rank: number
  readonly #encoder: Encoder
  /** Encoded fields of every line, each with a comma in front. */
  readonly #bound: string

  constructor(
    sink: LineSink,
    clock: Pick<Clock, 'wallNow'>,
    rank: number,
    encoder: Encoder,
    bound: string,
  ) {
    this.#sink = sink
    this.#clock = clock
    this.#rank = rank
    this.#encoder = encoder
    this.#bound = bound
  }

  isEnabled(level: LogLevel): boolean {
    return (RANKS[level] as number) >= this.#rank
  }

  debug(msg: string, fields?: LogFields): void {
    if (this.#rank <= DEBUG) this.#write('debug', msg, fields)
  }

  info(msg: string, fields?: LogFields): void {
    if (this.#rank <= INFO) this.#write('info', msg, fields)
  }

  warn(msg: string, fields?: LogFields): void {
    if (this.#rank <= WARN) this.#write('warn', msg, fields)
  }

  error(msg: string, fields?: LogFields): void {
    if (this.#rank <= ERROR) this.#write('error', msg, fields)
  }

  child(fields: LogFields): Logger {
    const bound = this.#bound + this.#encoder.members(fields)
    return new JsonLogger(this.#sink, this.#clock, this.#rank, this.#encoder, bound)
  }

  #write(level: LogLevel, msg: string, fields: LogFields | undefined): void {
    const ts = this.#encoder.time(this.#clock.wallNow())
    const text = this.#encoder.text(msg)
    const members = fields === undefined ? '' : this.#encoder.members(fields)
    this.#sink(`{"ts":"${ts}","level":"${level}","msg":${text}${this.#bound}${members}}\n`)
  }
}

/** JSON with limits: never throws, never recurses without bound, never writes a redacted value. */
class Encoder {
  readonly #redacted: ReadonlySet<string>
  readonly #maxTextLength: number
  readonly #maxDepth: number
  readonly #maxEntries: number
  /** What was found out about names seen before. Bounded: names may come from a peer's headers. */
  readonly #names = new Map<string, NameFacts>()
  #timeMs = Number.NaN
  #timeText = ''

  constructor(options: LoggerOptions) {
    const {
      redact = loggerDefaults.redact,
      maxTextLength = loggerDefaults.maxTextLength,
      maxDepth = loggerDefaults.maxDepth,
      maxEntries = loggerDefaults.maxEntries,
    } = options
    this.#redacted = new Set(redact.map(foldName))
    this.#maxTextLength = checkInteger('maxTextLength', maxTextLength, 16, 0x100_0000)
    this.#maxDepth = checkInteger('maxDepth', maxDepth, 1, 64)
    this.#maxEntries = checkInteger('maxEntries', maxEntries, 1, 1_000_000)
  }

  /** `,"name":value` for each field. */
  members(fields: LogFields): string {
    let text = ''
    for (const name in fields) {
      const value = fields[name]
      if (value === undefined || RESERVED.has(name)) continue
      const { prefix, redacted } = this.#factsOf(name)
      text += `,${prefix}${redacted ? REDACTED : this.#value(value, 1)}`
    }
    return text
  }

  /** Many lines of a busy process fall into one millisecond. */
  time(wallMs: number): string {
    if (wallMs !== this.#timeMs) {
      this.#timeMs = wallMs
      this.#timeText = new Date(wallMs).toISOString()
    }
    return this.#timeText
  }

  text(value: string): string {
    // The usual short text needs no escape, and finding that out is cheaper than escaping.
    if (value.length <= 64 && value.length <= this.#maxTextLength && PLAIN.test(value))
      return `"${value}"`
    if (value.length <= this.#maxTextLength) return JSON.stringify(value)
    return JSON.stringify(`${value.slice(0, this.#maxTextLength)}…`)
  }

  #factsOf(name: string): NameFacts {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    const facts = { prefix: `${this.text(name)}:`, redacted: this.#redacted.has(foldName(name)) }
    if (this.#names.size < MAX_NAMES) this.#names.set(name, facts)
    return facts
  }

  #value(value: unknown, depth: number): string {
    switch (typeof value) {
      case 'string':
        return this.text(value)
      case 'number':
        return Number.isFinite(value) ? String(value) : `"${value}"`
      case 'boolean':
        return String(value)
      case 'bigint':
        return `"${value}"`
      case 'object':
        return value === null ? 'null' : this.#object(value, depth)
      default:
        return this.text(String(value))
    }
  }

  #object(value: object, depth: number): string {
    if (depth > this.#maxDepth) return '"[deep]"'
    if (ArrayBuffer.isView(value)) return `"[${value.byteLength} bytes]"`
    // A getter or proxy may throw; a log line must not.
    try {
      if (value instanceof Date) return this.text(String(value.toJSON()))
      if (value instanceof Error) return this.#record(errorFields(value), depth)
      if (Array.isArray(value)) return this.#array(value, depth)
      return this.#record(value as Record<string, unknown>, depth)
    } catch {
      return '"[unreadable]"'
    }
  }

  #array(items: readonly unknown[], depth: number): string {
    const kept = items.slice(0, this.#maxEntries).map((one) => this.#value(one, depth + 1))
    if (items.length > kept.length) kept.push(`"[${items.length - kept.length} more]"`)
    return `[${kept.join(',')}]`
  }

  #record(record: Readonly<Record<string, unknown>>, depth: number): string {
    const parts: string[] = []
    for (const name of Object.keys(record)) {
      if (parts.length === this.#maxEntries) {
        parts.push('"…":"more"')
        break
      }
      const value = record[name]
      if (value === undefined) continue
      const { prefix, redacted } = this.#factsOf(name)
      parts.push(prefix + (redacted ? REDACTED : this.#value(value, depth + 1)))
    }
    return `{${parts.join(',')}}`
  }
}

interface NameFacts {
  /** `"name":` */
  readonly prefix: string
  readonly redacted: boolean
}

/** What is worth writing of an error: the code first, causes nested. */
function errorFields(error: Error): Record<string, unknown> {
  const { code, status, sent, retryable } = error as {
    code?: unknown
    status?: unknown
    sent?: unknown
    retryable?: unknown
  }
  return {
    code,
    name: error.name,
    message: error.message,
    status,
    sent,
    retryable,
    cause: error.cause,
    // Expected errors have a code and need no stack; what has none is probably a bug.
    stack: code === undefined || code === 'ERR_INVARIANT' ? error.stack : undefined,
  }
}

/** `X-Api-Key`, `x_api_key` and `xApiKey` are one name. */
function foldName(name: string): string {
  return name.replace(/[-_]/g, '').toLowerCase()
}

const DEBUG = 0
const INFO = 1
const WARN = 2
const ERROR = 3
const RANKS: Readonly<Record<string, number>> = Object.freeze({
  debug: DEBUG,
  info: INFO,
  warn: WARN,
  error: ERROR,
  silent: 4,
})
const PLAIN = /^[ !#-[\]-~]*$/
const MAX_NAMES = 1_024
const REDACTED = '"[redacted]"'
/** Written by the logger itself: a field of that name would make the line ambiguous. */
const RESERVED: ReadonlySet<string> = new Set(['ts', 'level', 'msg'])
