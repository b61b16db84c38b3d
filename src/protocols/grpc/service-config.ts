/**
 * The service config of gRPC: what the owner of a service wants its clients to do, as JSON
 * (grpc/service_config.proto; retries and hedging are gRFC A6).
 *
 *     { "methodConfig": [{ "name": [{ "service": "shop.Orders" }], "timeout": "1.5s",
 *         "retryPolicy": { "maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s",
 *           "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"] } }],
 *       "retryThrottling": { "maxTokens": 10, "tokenRatio": 0.1 },
 *       "loadBalancingConfig": [{ "round_robin": {} }] }
 *
 * Fields that are not known are left alone, as the format demands: a config is written for clients of
 * many versions. What is known and wrong is refused.
 */
import { UsageError } from '../../core/errors.ts'
import { GrpcStatus, type GrpcStatusCode, grpcStatusCode } from './status.ts'

export interface ServiceConfig {
  readonly methods: readonly MethodConfig[]
  readonly retryThrottling: RetryThrottling | undefined
  /** Names of policies with their parameters, the first one that is known counts. */
  readonly loadBalancing: readonly LoadBalancingChoice[]
}

export interface MethodConfig {
  /** `package.Service/Method`, `package.Service/`, or empty for every method. */
  readonly names: readonly string[]
  readonly timeoutMs: number | undefined
  readonly waitForReady: boolean | undefined
  readonly maxRequestBytes: number | undefined
  readonly maxResponseBytes: number | undefined
  readonly retry: GrpcRetrySettings | undefined
  readonly hedging: GrpcHedgingSettings | undefined
}

export interface GrpcRetrySettings {
  readonly maxAttempts: number
  readonly initialBackoffMs: number
  readonly maxBackoffMs: number
  readonly backoffMultiplier: number
  readonly retryable: ReadonlySet<GrpcStatusCode>
}

export interface GrpcHedgingSettings {
  readonly maxAttempts: number
  readonly hedgingDelayMs: number
  readonly nonFatal: ReadonlySet<GrpcStatusCode>
}

export interface RetryThrottling {
  readonly maxTokens: number
  readonly tokenRatio: number
}

export interface LoadBalancingChoice {
  readonly name: string
  readonly parameters: Readonly<Record<string, unknown>>
}

/**
 * @param config JSON text, or what it was parsed to
 * @throws UsageError ERR_CONFIG with the place of what is wrong
 */
export function parseServiceConfig(config: unknown): ServiceConfig {
  const root = objectAt('service config', typeof config === 'string' ? fromJson(config) : config)
  const methods = listAt('methodConfig', root['methodConfig']).map((entry, index) =>
    parseMethod(`methodConfig[${index}]`, entry),
  )
  return {
    methods,
    retryThrottling: parseThrottling(root['retryThrottling']),
    loadBalancing: listAt('loadBalancingConfig', root['loadBalancingConfig']).map(parseChoice),
  }
}

/** What counts for a method: the entry that names it, else its service, else everything. */
export function methodConfigOf(
  config: ServiceConfig | undefined,
  service: string,
  method: string,
): MethodConfig | undefined {
  if (config === undefined) return undefined
  for (const name of [`${service}/${method}`, `${service}/`, '']) {
    const found = config.methods.find(({ names }) => names.includes(name))
    if (found !== undefined) return found
  }
  return undefined
}

function parseMethod(where: string, value: unknown): MethodConfig {
  const entry = objectAt(where, value)
  const retry = entry['retryPolicy']
  const hedging = entry['hedgingPolicy']
  if (retry !== undefined && hedging !== undefined) {
    throw wrong(where, 'has a retryPolicy and a hedgingPolicy: one of them')
  }
  const { timeout, waitForReady } = entry
  if (waitForReady !== undefined && typeof waitForReady !== 'boolean') {
    throw wrong(`${where}.waitForReady`, 'must be true or false')
  }
  return {
    names: listAt(`${where}.name`, entry['name']).map((name, index) =>
      parseName(`${where}.name[${index}]`, name),
    ),
    timeoutMs: timeout === undefined ? undefined : durationAt(`${where}.timeout`, timeout),
    waitForReady,
    maxRequestBytes: bytesAt(`${where}.maxRequestMessageBytes`, entry['maxRequestMessageBytes']),
    maxResponseBytes: bytesAt(`${where}.maxResponseMessageBytes`, entry['maxResponseMessageBytes']),
    retry: retry === undefined ? undefined : parseRetry(`${where}.retryPolicy`, retry),
    hedging: hedging === undefined ? undefined : parseHedging(`${where}.hedgingPolicy`, hedging),
  }
}

function parseName(where: string, value: unknown): string {
  const { service = '', method = '' } = objectAt(where, value)
  if (typeof service !== 'string' || typeof method !== 'string') {
    throw wrong(where, 'has service and method as text')
  }
  if (service === '') {
    if (method !== '') throw wrong(where, 'has a method without a service')
    return ''
  }
  return `${service}/${method}`
}

function parseRetry(where: string, value: unknown): GrpcRetrySettings {
  const policy = objectAt(where, value)
  const retryable = statusesAt(`${where}.retryableStatusCodes`, policy['retryableStatusCodes'])
  if (retryable.size === 0) throw wrong(`${where}.retryableStatusCodes`, 'names no status')
  return {
    maxAttempts: attemptsAt(`${where}.maxAttempts`, policy['maxAttempts']),
    initialBackoffMs: positiveDuration(`${where}.initialBackoff`, policy['initialBackoff']),
    maxBackoffMs: positiveDuration(`${where}.maxBackoff`, policy['maxBackoff']),
    backoffMultiplier: positiveAt(`${where}.backoffMultiplier`, policy['backoffMultiplier']),
    retryable,
  }
}

function parseHedging(where: string, value: unknown): GrpcHedgingSettings {
  const policy = objectAt(where, value)
  const delay = policy['hedgingDelay']
  return {
    maxAttempts: attemptsAt(`${where}.maxAttempts`, policy['maxAttempts']),
    hedgingDelayMs: delay === undefined ? 0 : durationAt(`${where}.hedgingDelay`, delay),
    nonFatal: statusesAt(`${where}.nonFatalStatusCodes`, policy['nonFatalStatusCodes']),
  }
}

function parseThrottling(value: unknown): RetryThrottling | undefined {
  if (value === undefined) return undefined
  const { maxTokens, tokenRatio } = objectAt('retryThrottling', value)
  if (typeof maxTokens !== 'number' || !(maxTokens > 0 && maxTokens <= MAX_TOKENS)) {
    throw wrong('retryThrottling.maxTokens', `must be over 0 and at most ${MAX_TOKENS}`)
  }
  const ratio = positiveAt('retryThrottling.tokenRatio', tokenRatio)
  // A6: three decimal places count.
  return { maxTokens, tokenRatio: Math.floor(ratio * 1_000) / 1_000 }
}

function parseChoice(value: unknown, index: number): LoadBalancingChoice {
  const where = `loadBalancingConfig[${index}]`
  const entries = Object.entries(objectAt(where, value))
  const [only] = entries
  if (only === undefined || entries.length > 1) throw wrong(where, 'names exactly one policy')
  return { name: only[0], parameters: objectAt(`${where}.${only[0]}`, only[1]) }
}

/** A number of attempts over 5 counts as 5 (A6). */
function attemptsAt(where: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 2) {
    throw wrong(where, 'must be a whole number from 2 on')
  }
  return Math.min(value, MAX_ATTEMPTS)
}

function statusesAt(where: string, value: unknown): Set<GrpcStatusCode> {
  const statuses = new Set<GrpcStatusCode>()
  for (const one of listAt(where, value)) {
    const code = typeof one === 'string' ? grpcStatusCode(one) : one
    if (typeof code !== 'number' || !ALL_STATUSES.has(code)) {
      throw wrong(where, `has ${JSON.stringify(one)}, which is no status`)
    }
    statuses.add(code as GrpcStatusCode)
  }
  return statuses
}

function positiveDuration(where: string, value: unknown): number {
  const ms = durationAt(where, value)
  if (ms === 0) throw wrong(where, 'must be longer than 0s')
  return ms
}

/** `1.5s`, as google.protobuf.Duration is in JSON; at most nine digits behind the point. */
function durationAt(where: string, value: unknown): number {
  const match = typeof value === 'string' ? /^(\d{1,12}(?:\.\d{1,9})?)s$/.exec(value) : null
  if (match === null) throw wrong(where, 'must be a duration such as "1.5s"')
  return Number(match[1]) * 1_000
}

function bytesAt(where: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  const count = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0) {
    throw wrong(where, 'must be a number of bytes')
  }
  return Math.min(count, 0xffff_ffff)
}

function positiveAt(where: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
  throw wrong(where, 'must be a number over 0')
}

function listAt(where: string, value: unknown): readonly unknown[] {
  if (value === undefined) return []
  if (Array.isArray(value)) return value
  throw wrong(where, 'must be a list')
}

function objectAt(where: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>
  }
  throw wrong(where, 'must be an object')
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new UsageError('ERR_CONFIG', 'the service config is no JSON', { cause })
  }
}

function wrong(where: string, what: string): UsageError {
  return new UsageError('ERR_CONFIG', `${where} ${what}`)
}

const MAX_ATTEMPTS = 5
const MAX_TOKENS = 1_000
const ALL_STATUSES: ReadonlySet<number> = new Set(Object.values(GrpcStatus))
