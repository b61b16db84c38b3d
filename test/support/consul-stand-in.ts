/**
 * Consul's health endpoint, as its documentation says it behaves: blocking queries with index and
 * wait, filters, consistency modes, tokens; and refusals for what Consul refuses. It is not Consul:
 * docs/discovery.md says so.
 *
 * https://developer.hashicorp.com/consul/api-docs/health and …/features/blocking
 */
import type { Clock, Random, Timer } from '../../src/core/clock.ts'
import type { CallContext } from '../../src/core/context.ts'
import { type HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'

export interface ConsulInstance {
  readonly id: string
  readonly address?: string
  readonly port: number
  readonly nodeAddress?: string
  readonly tags?: readonly string[]
  readonly meta?: Readonly<Record<string, string>>
  readonly status?: 'passing' | 'warning' | 'critical'
  readonly weights?: { readonly Passing: number; readonly Warning: number }
}

export class ConsulStandIn {
  /** Every request as it came. */
  readonly requests: string[] = []
  /** Tokens seen. */
  readonly tokens: (string | undefined)[] = []
  knownLeader = true
  /** Undefined: everybody may read. */
  token: string | undefined
  datacenter = 'dc1'
  readonly #clock: Clock
  readonly #random: Random
  readonly #services = new Map<string, ConsulInstance[]>()
  readonly #blocked = new Set<() => void>()
  #index = 10

  constructor(clock: Clock, random: Random = () => 0) {
    this.#clock = clock
    this.#random = random
  }

  get blocked(): number {
    return this.#blocked.size
  }

  get index(): number {
    return this.#index
  }

  /** Registers these and nothing else, and wakes queries that block. */
  put(service: string, instances: readonly ConsulInstance[]): void {
    this.#services.set(service, [...instances])
    this.#index++
    this.#wake()
  }

  /** A snapshot was restored: the index is an older one. */
  restore(index: number): void {
    this.#index = index
    this.#wake()
  }

  #wake(): void {
    for (const wake of [...this.#blocked]) wake()
  }

  readonly service = async (request: HttpRequest, context: CallContext): Promise<HttpResponse> => {
    this.requests.push(request.target)
    const token = request.fields.get('x-consul-token')
    this.tokens.push(token)
    if (this.token !== undefined && token !== this.token) {
      return refuse(403, token === undefined ? 'Permission denied' : `ACL not found: ${token}`)
    }
    if (request.method !== 'GET') {
      const response = refuse(405, `method ${request.method} not allowed`)
      response.fields.set('allow', 'GET')
      return response
    }
    const { pathname, searchParams } = new URL(request.target, 'http://consul')
    const match = /^\/v1\/health\/service\/([^/]+)$/.exec(pathname)
    if (match?.[1] === undefined) return refuse(404, 'Invalid URL path')
    const problem = wrongQuery(searchParams, this.datacenter)
    if (problem !== undefined) return problem
    const index = Number(searchParams.get('index') ?? 0)
    if (index > 0) await this.#block(index, waitOf(searchParams.get('wait')), context)
    return this.#answer(decodeURIComponent(match[1]), searchParams)
  }

  /** Until something is newer than `index`, the index is smaller, or the wait is over. */
  #block(index: number, waitMs: number, context: CallContext): Promise<void> {
    if (this.#index !== index) return Promise.resolve()
    return new Promise((resolve) => {
      let timer: Timer | undefined
      const done = (): void => {
        this.#blocked.delete(done)
        timer?.cancel()
        forget()
        resolve()
      }
      const forget = context.onCancel(done)
      this.#blocked.add(done)
      // Up to a sixteenth is added, so that clients do not come back together.
      const until = this.#clock.now() + waitMs * (1 + this.#random() / 16)
      timer = this.#clock.setTimer(until, done)
    })
  }

  #answer(name: string, query: URLSearchParams): HttpResponse {
    const tags = query.getAll('tag')
    const passing = query.has('passing') && query.get('passing') !== 'false'
    const entries = (this.#services.get(name) ?? [])
      .filter((one) => tags.every((tag) => one.tags?.includes(tag)))
      .filter((one) => !passing || (one.status ?? 'passing') === 'passing')
      .map((one) => entryOf(name, one, this.datacenter))
    const response = HttpResponse.json(entries)
    response.fields.set('x-consul-index', String(this.#index))
    response.fields.set('x-consul-knownleader', String(this.knownLeader))
    response.fields.set('x-consul-lastcontact', '0')
    response.fields.set('x-consul-effective-consistency', query.has('stale') ? 'stale' : 'leader')
    return response
  }
}

function entryOf(name: string, one: ConsulInstance, datacenter: string): object {
  const { id, address = '', nodeAddress = '10.9.9.9', port, tags = [], meta = {} } = one
  const status = one.status ?? 'passing'
  return {
    Node: { ID: 'n1', Node: 'node-1', Address: nodeAddress, Datacenter: datacenter, Meta: {} },
    Service: {
      ID: id,
      Service: name,
      Tags: tags,
      Address: address,
      Meta: meta,
      Port: port,
      Weights: one.weights ?? { Passing: 1, Warning: 1 },
    },
    Checks: [
      { CheckID: 'serfHealth', Status: 'passing' },
      { CheckID: `service:${id}`, Status: status },
    ],
  }
}

function wrongQuery(query: URLSearchParams, datacenter: string): HttpResponse | undefined {
  const index = query.get('index')
  if (index !== null && !/^\d+$/.test(index)) return refuse(400, 'Invalid index')
  const wait = query.get('wait')
  if (wait !== null && !/^\d+(ms|s|m)$/.test(wait)) return refuse(400, 'Invalid wait time')
  if (query.has('stale') && query.has('consistent')) {
    return refuse(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.')
  }
  const passing = query.get('passing')
  if (passing !== null && !['', 'true', 'false', '1', '0'].includes(passing)) {
    return refuse(400, 'Invalid value for ?passing')
  }
  const dc = query.get('dc')
  if (dc !== null && dc !== datacenter) return refuse(500, 'No path to datacenter')
  return undefined
}

/** Five minutes when there is none, ten at most. */
function waitOf(text: string | null): number {
  const match = /^(\d+)(ms|s|m)$/.exec(text ?? '300s') as RegExpExecArray
  const unit = { ms: 1, s: 1_000, m: 60_000 }[match[2] as 'ms' | 's' | 'm']
  return Math.min(Number(match[1]) * unit, 600_000)
}

function refuse(status: number, message: string): HttpResponse {
  return HttpResponse.text(message, { status })
}
