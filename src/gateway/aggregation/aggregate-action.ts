/**
 * One request becomes several at once, each with its deadline, and what they answer one document.
 *
 * A part that is not required may fail: its error stands in the document. When a required one fails,
 * the others are given up at once, for there will be no answer that they could be part of.
 */
import type { Clock } from '../../core/clock.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { ClosedError, HeddleError, TimeoutError, toError } from '../../core/errors.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import { durationMs, sizeBytes } from '../config/quantity.ts'
import type { RouteConfig } from '../config/schema/route.ts'
import { answerToUpstreamError } from '../http/gateway-answer.ts'
import type { Upstream } from '../http/upstream.ts'
import type { Rewrite } from '../routing/rewrite.ts'
import { isJsonObject, mergeParts, type PartFailure, type PartResult } from './merge.ts'
import { compilePartTarget } from './part-target.ts'

export interface AggregateAction {
  readonly type: 'aggregate'
  /** Of the whole. Infinity: none. */
  readonly timeoutMs: number
  /** Of the client's body; undefined: no part is sent it. */
  readonly maxBodyBytes: number | undefined
  run(call: AggregateCall): Promise<AggregateAnswer>
}

/** A request on its way. */
export interface AggregateCall {
  readonly clock: Clock
  readonly request: HttpRequest
  /** Normalised. */
  readonly target: string
  /** To be sent on, hop by hop ones removed. */
  readonly fields: HttpFields
  readonly body: Uint8Array | undefined
  readonly context: CallContext
  /** Lower-case names of fields that the gateway itself writes. */
  readonly own: readonly string[]
  /** Of parts' requests, so that caches and clusters know whose they are. */
  readonly note: unknown
}

export interface AggregateAnswer {
  readonly status: number
  readonly body: string
  /** Names of parts that are missing. */
  readonly failed: readonly string[]
  /** Why there is no answer. */
  readonly error: Error | undefined
}

/** @param upstream a cluster by its name, perhaps behind a cache */
export function compileAggregate(
  config: RouteConfig & { readonly aggregate: NonNullable<RouteConfig['aggregate']> },
  upstream: (name: string) => Upstream,
): AggregateAction {
  const { aggregate, match } = config
  const timeoutMs = durationMs(config.timeout)
  const parts = Object.entries(aggregate.parts).map(([name, one]) => ({
    name,
    upstream: upstream(one.cluster),
    target: compilePartTarget(match, one),
    method: one.method,
    sendBody: one.send_body,
    timeoutMs: durationMs(one.timeout),
    required: one.required,
  }))
  const rules: AggregateRules = {
    merge: aggregate.merge,
    partialStatus: aggregate.partial_status,
    maxPartBytes: sizeBytes(aggregate.max_part_size),
    forwarded:
      aggregate.forward_headers &&
      new Set(aggregate.forward_headers.map((name) => name.toLowerCase())),
  }
  return {
    type: 'aggregate',
    timeoutMs: timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs,
    maxBodyBytes: parts.some(({ sendBody }) => sendBody)
      ? sizeBytes(aggregate.max_body)
      : undefined,
    run: (call) => run(parts, rules, call),
  }
}

interface Part {
  readonly name: string
  readonly upstream: Upstream
  readonly target: Rewrite
  readonly method: string
  readonly sendBody: boolean
  readonly timeoutMs: number
  readonly required: boolean
}

interface AggregateRules {
  readonly merge: 'by_name' | 'object' | 'array'
  readonly partialStatus: number
  readonly maxPartBytes: number
  readonly forwarded: ReadonlySet<string> | undefined
}

async function run(
  parts: readonly Part[],
  rules: AggregateRules,
  call: AggregateCall,
): Promise<AggregateAnswer> {
  const fields = partFields(call, rules.forwarded)
  const all = new Call({}, call.context)
  let missing: PartFailure | undefined
  let cause: Error | undefined
  const ask = async (part: Part): Promise<PartResult> => {
    const outcome = await askPart(part, rules, call, fields, all)
    if (!('failure' in outcome)) return outcome
    if (part.required && missing === undefined) {
      missing = outcome.failure
      cause = outcome.error ?? toError(`part ${part.name}: ${outcome.failure.message}`)
      all.cancel(new ClosedError('ERR_ABORTED', `part ${part.name} failed, which is required`))
    }
    return { name: part.name, failure: outcome.failure }
  }
  const results = await Promise.all(parts.map(ask))
  all.finish()
  if (call.context.cancelled) throw call.context.cancelReason ?? new Error('cancelled')
  const failed = results.filter((one) => 'failure' in one)
  // Nothing is there that could be told.
  if (missing === undefined && failed.length === parts.length) missing = worst(failed)
  return {
    status: missing?.status ?? (failed.length > 0 ? rules.partialStatus : 200),
    body: mergeParts(rules.merge, results),
    failed: failed.map(({ name }) => name),
    error: missing && (cause ?? toError(missing.message)),
  }
}

async function askPart(
  part: Part,
  rules: AggregateRules,
  call: AggregateCall,
  fields: HttpFields,
  all: Call,
): Promise<PartResult & { readonly error?: Error }> {
  const { clock, request, body } = call
  const { name, timeoutMs } = part
  const deadline = Math.min(clock.now() + timeoutMs, call.context.deadline ?? Infinity)
  const context = new Call({ deadline }, all)
  // The deadline of a call ends with the head of its answer; this one is for the whole.
  const timer = clock.setTimer(deadline, () => {
    context.cancel(new TimeoutError('ERR_DEADLINE', `part ${name} took over ${timeoutMs} ms`))
  })
  const asked = new HttpRequest({
    method: part.method,
    target: part.target(call.target),
    scheme: request.scheme,
    authority: request.authority,
    fields: part.sendBody ? fields : withoutContent(fields),
    body: part.sendBody ? body : undefined,
  })
  asked.note = call.note
  let response: HttpResponse | undefined
  const given = new Promise<never>((_, reject) => {
    context.onCancel((reason) => {
      response?.exchange?.abort(reason)
      reject(reason)
    })
  })
  const answered = async (): Promise<PartResult> => {
    response = await part.upstream.call(asked, context)
    return read(name, response, rules)
  }
  try {
    return await Promise.race([answered(), given])
  } catch (thrown) {
    const error = toError(thrown)
    return { name, failure: failureOf(context.cancelReason ?? error), error }
  } finally {
    timer.cancel()
    given.catch(() => {})
    context.finish()
  }
}

async function read(
  name: string,
  response: HttpResponse,
  { maxPartBytes, merge }: AggregateRules,
): Promise<PartResult> {
  const { status, fields, body } = response
  const fail = (code: string, message: string): PartResult => {
    body.discard()
    return { name, failure: { status: status < 400 ? 502 : status, code, message } }
  }
  response.connection?.destroy()
  if (status >= 400) return fail('status', `answered ${status}`)
  if (status < 200 || status >= 300) return fail('status', `answered ${status}, which is no answer`)
  if ((body.length ?? 0) > maxPartBytes) {
    return fail('too_large', `an answer of ${body.length} bytes is over ${maxPartBytes}`)
  }
  const coding = fields.get('content-encoding')
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    return fail('encoded', 'the answer is compressed, which was not asked for')
  }
  const text = await body.text(maxPartBytes)
  if (text === '') return { name, status, json: 'null' }
  const type = (fields.get('content-type') ?? '').toLowerCase()
  if (type.startsWith('text/')) return { name, status, json: JSON.stringify(text) }
  if (!isJson(text)) return fail('not_json', `the answer of type '${type}' is no JSON`)
  if (merge === 'object' && !isJsonObject(text)) {
    return fail('not_object', 'the answer is JSON, but no object that could be merged')
  }
  return { name, status, json: text }
}

function failureOf(error: Error): PartFailure {
  if (error instanceof HeddleError && error.code === 'ERR_LIMIT') {
    return { status: 502, code: 'too_large', message: 'the answer is larger than allowed here' }
  }
  if (error instanceof ClosedError && error.code === 'ERR_ABORTED') {
    return { status: 503, code: 'given_up', message: 'another part failed, which is required' }
  }
  const { status, code, text } = answerToUpstreamError(error)
  return { status, code, message: text }
}

/** Of several the one that says most about us: 5xx before 4xx. */
function worst(failed: readonly PartResult[]): PartFailure | undefined {
  let found: PartFailure | undefined
  for (const one of failed) {
    if (!('failure' in one)) continue
    if (found === undefined || one.failure.status > found.status) found = one.failure
  }
  return found
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** What is about the client's own exchange stays behind; parts are asked for plain JSON. */
function partFields(
  { fields, own }: AggregateCall,
  forwarded: ReadonlySet<string> | undefined,
): HttpFields {
  const list: string[] = []
  fields.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (OF_THIS_EXCHANGE.has(lower)) return
    const passes =
      forwarded === undefined || forwarded.has(lower) || OURS.has(lower) || own.includes(lower)
    if (passes) list.push(name, value)
  })
  list.push('accept', 'application/json', 'accept-encoding', 'identity')
  return HttpFields.fromTrusted(list)
}

function withoutContent(fields: HttpFields): HttpFields {
  const list: string[] = []
  fields.forEach((name, value) => {
    if (!name.toLowerCase().startsWith('content-')) list.push(name, value)
  })
  return HttpFields.fromTrusted(list)
}

const OF_THIS_EXCHANGE: ReadonlySet<string> = new Set([
  ...[
    'accept',
    'accept-encoding',
    'accept-ranges',
    'content-length',
    'connection',
    'upgrade',
    'te',
  ],
  ...['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'range'],
])
/** Written by the gateway: they go to every part. */
const OURS: ReadonlySet<string> = new Set([
  ...['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded', 'via'],
  ...['traceparent', 'tracestate', 'content-type'],
])
