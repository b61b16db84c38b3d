/** The calls of one run: of every kind, at times that the seed chooses, and how each ended. */
import type { HttpClient } from '../../../src/clients/http/http-client.ts'
import type { HttpRequestInit } from '../../../src/protocols/http/messages.ts'
import { fill, isFilled } from './sim-bytes.ts'
import { DENIED } from './sim-config.ts'
import type { World } from './sim-world.ts'

export interface CallRecord {
  readonly id: number
  readonly method: string
  /** Doing it twice is the same as once: its method says so, or its key. */
  readonly idempotent: boolean
  readonly timeoutMs: number
  /** The caller gives up by itself after so long. */
  readonly abortAfterMs: number | undefined
  /** Asks for what nobody may have, where the seed has access rules. */
  readonly denied: boolean
  startedAt: number
  endedAt: number
  /** How often it ended: once. */
  ends: number
  /** Of the answer; undefined: an error. */
  status: number | undefined
  error: unknown
  /** What a refusal says: its code, and the request that it is about. */
  refusedBy: string | undefined
  refusedRequest: string | undefined
}

/** The caller's own reason: it must come back untouched. */
export class GivenUp extends Error {}

export class CallLog {
  readonly records: CallRecord[] = []
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  get settled(): boolean {
    return this.records.every(({ ends }) => ends > 0)
  }

  get summary(): string {
    const answered = this.records.filter(({ status }) => status === 200).length
    const refused = this.records.filter(({ status }) => status !== undefined && status !== 200)
    const failed = this.records.length - answered - refused.length
    return `${this.records.length} calls: ${answered} well, ${refused.length} refused, ${failed} failed`
  }

  scheduleAll(count: number, withinMs: number): void {
    const { random, clock } = this.#world.simulation
    const bursts = random.pick([0, 0, 1, 3])
    const burstAt = Array.from({ length: bursts }, () => random.integer(0, withinMs - 2_000))
    for (let id = 0; id < count; id++) {
      const record = this.#draw(id)
      this.records.push(record)
      const inBurst = bursts > 0 && random.chance(0.5)
      const at = inBurst ? random.pick(burstAt) + random.integer(0, 100) : random.next() * withinMs
      clock.setTimer(clock.now() + at, () => void this.run(record))
    }
  }

  /** One more call, at once. */
  async extra(id: number): Promise<CallRecord> {
    const record = this.#record(id, 'GET', true, 5_000, undefined, false)
    await this.run(record)
    return record
  }

  async run(record: CallRecord): Promise<void> {
    const { clock } = this.#world.simulation
    record.startedAt = clock.now()
    try {
      record.status = await exchange(this.#world, record)
    } catch (error) {
      record.error = error
    }
    record.ends++
    record.endedAt = clock.now()
    const { id, method, status, error } = record
    const outcome = status ?? (error as { code?: string }).code ?? String(error)
    this.#world.simulation.note(`call ${id} ${method}: ${outcome}`)
  }

  #draw(id: number): CallRecord {
    const { random } = this.#world.simulation
    const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'PUT', 'POST', 'POST'])
    const keyed = method === 'POST' && random.chance(0.3)
    const timeoutMs = random.pick([200, 3_000, 10_000, 10_000])
    const abortAfterMs = random.chance(0.06) ? random.integer(0, 3_000) : undefined
    return this.#record(
      id,
      keyed ? 'POST+key' : method,
      method !== 'POST' || keyed,
      timeoutMs,
      abortAfterMs,
      this.#world.limits.denies && random.chance(0.1),
    )
  }

  #record(
    id: number,
    method: string,
    idempotent: boolean,
    timeoutMs: number,
    abortAfterMs: number | undefined,
    denied: boolean,
  ): CallRecord {
    return {
      id,
      method,
      idempotent,
      timeoutMs,
      abortAfterMs,
      denied,
      startedAt: 0,
      endedAt: 0,
      ends: 0,
      status: undefined,
      error: undefined,
      refusedBy: undefined,
      refusedRequest: undefined,
    }
  }
}

async function exchange(world: World, record: CallRecord): Promise<number> {
  const { timeoutMs, abortAfterMs } = record
  const { clock } = world.simulation
  const controller = new AbortController()
  const timer =
    abortAfterMs === undefined
      ? undefined
      : clock.setTimer(clock.now() + abortAfterMs, () => controller.abort(new GivenUp()))
  try {
    const request = { ...requestOf(world, record), timeoutMs, signal: controller.signal }
    return await answerOf(world.client, record, request)
  } finally {
    timer?.cancel()
  }
}

function requestOf(world: World, { id, method, denied }: CallRecord): HttpRequestInit {
  const [name = 'GET', key] = method.split('+')
  const hasBody = name === 'PUT' || name === 'POST'
  const size = hasBody ? world.simulation.random.pick([10, 3_000, 30_000]) : 0
  const fields: Record<string, string> = { 'x-id': String(id), 'x-size': String(size) }
  if (key !== undefined) fields['idempotency-key'] = String(id)
  return {
    method: name,
    target: denied ? `${DENIED}${id}` : `/${id}`,
    fields,
    ...(hasBody && { body: fill(id, size) }),
  }
}

/** @throws Error when the answer is another call's, or cut */
async function answerOf(
  client: HttpClient,
  record: CallRecord,
  request: Parameters<HttpClient['request']>[0],
): Promise<number> {
  const response = await client.request(request)
  const got = await response.body.bytes()
  const { status, fields } = response
  const { id } = record
  if (status !== 200) {
    record.refusedBy = fields.get('x-heddle-error')
    record.refusedRequest = fields.get('x-request-id')
    return status
  }
  if (fields.get('x-id') !== String(id)) throw new WrongAnswer(`answer of ${fields.get('x-id')}`)
  const expected = request?.method === 'HEAD' ? 0 : Number(fields.get('x-size'))
  if (got.length !== expected) throw new WrongAnswer(`${got.length} bytes of ${expected}`)
  if (!isFilled(got, id)) throw new WrongAnswer('bytes of another call')
  return status
}

/** Never acceptable, whatever the network does. */
export class WrongAnswer extends Error {}
