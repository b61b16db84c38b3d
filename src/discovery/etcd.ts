/**
 * Endpoints from etcd v3, through its JSON gateway: the keys below a prefix, and what changes there.
 *
 *     services/users/10.0.0.1:8080   →  10.0.0.1:8080
 *     services/users/b               →  {"address":"10.0.0.2:8080","weight":2,"healthy":true}
 *
 * The value is `host:port`, or a JSON object with `address` (or `Addr`, as etcd's own naming package
 * writes). One range gives the set at a revision, one watch everything after it. A watch that breaks
 * goes on where it was; when that was compacted away, or the store is another one, the range is read
 * again, and every `resyncMs` in any case. Keys that hang on a lease vanish with it: that is the
 * health check of etcd.
 */
import { formatAddress, parseAddress } from '../core/address.ts'
import type { Clock, Random } from '../core/clock.ts'
import { checkRange, ProtocolError, RemoteError, toError, UsageError } from '../core/errors.ts'
import type { Endpoint, Resolver, ResolverListener } from '../core/policy.ts'
import { nodeHost } from '../platform/node-host.ts'
import { systemClock } from '../platform/system-clock.ts'
import { EtcdAuthentication, type EtcdUser } from './etcd-authentication.ts'
import { type Accept, acceptedEndpoints, acceptHealthy, type Instance } from './instance.ts'
import { asArray, asRecord, asText, type JsonRecord, textRecord } from './json-value.ts'
import { RegistryHttp, type RegistryHttpOptions } from './registry-http.ts'
import {
  SharedResolver,
  type SharedResolverOptions,
  sharedResolverDefaults,
} from './shared-resolver.ts'
import { type Round, WatchLoop, type WatchLoopOptions } from './watch-loop.ts'

export interface EtcdOptions
  extends Omit<RegistryHttpOptions, 'token' | 'tokenFile'>,
    SharedResolverOptions,
    WatchLoopOptions {
  /** Members of one cluster. @default 'http://127.0.0.1:2379' */
  url?: string | readonly string[]
  /** Keys below it, for whatever target. @default the target and a slash */
  prefix?: string
  /** Where authentication is on: a token is got for it, and again when it expires. */
  user?: EtcdUser
  /** The whole prefix is read again after this, a little sooner by chance. @default 300_000 */
  resyncMs?: number
  /** Who gets calls. @default all but those whose value says `"healthy": false` */
  accept?: Accept
  /** @default the system's */
  clock?: Clock
  /** @default Node's */
  random?: Random
}

export const etcdDefaults: Readonly<{ url: string; resyncMs: number }> = Object.freeze({
  url: 'http://127.0.0.1:2379',
  resyncMs: 300_000,
})

/** @throws UsageError for options that cannot be */
export function etcd(options: EtcdOptions = {}): Resolver {
  const {
    clock = systemClock,
    random = nodeHost.random,
    accept = acceptHealthy,
    resyncMs = etcdDefaults.resyncMs,
    maxEndpoints = sharedResolverDefaults.maxEndpoints,
    prefix,
  } = options
  checkRange('resyncMs', resyncMs, 1_000, 86_400_000)
  const settings: Settings = { ...options, clock, random, accept, resyncMs, maxEndpoints }
  makeHttp(settings, () => undefined).close()
  return new SharedResolver((target, sink) => {
    return new EtcdFeed(prefix ?? `${target.replace(/\/+$/, '')}/`, sink, settings)
  }, options)
}

type Settings = EtcdOptions &
  Required<Pick<EtcdOptions, 'clock' | 'random' | 'accept' | 'resyncMs' | 'maxEndpoints'>>

class EtcdFeed implements Disposable {
  readonly #sink: ResolverListener
  readonly #settings: Settings
  readonly #http: RegistryHttp
  readonly #authentication: EtcdAuthentication | undefined
  readonly #loop: WatchLoop
  readonly #key: string
  readonly #rangeEnd: string
  /** By key, in base64 as it came. */
  readonly #instances = new Map<string, Instance>()
  /** Everything up to it is in `#instances`; undefined: the range has to be read. */
  #revision: bigint | undefined
  /** When the range is to be read again. */
  #dueAt = 0
  #wrongValue: Error | undefined

  constructor(prefix: string, sink: ResolverListener, settings: Settings) {
    if (prefix === '') throw new UsageError('ERR_ARGUMENT', 'the prefix of etcd is empty')
    this.#sink = sink
    this.#settings = settings
    const bytes = Buffer.from(prefix, 'utf8')
    this.#key = bytes.toString('base64')
    this.#rangeEnd = endOfPrefix(bytes).toString('base64')
    this.#http = makeHttp(settings, () => this.#authentication?.token)
    const { user } = settings
    this.#authentication = user && new EtcdAuthentication(this.#http, user)
    this.#loop = new WatchLoop({
      ...settings,
      round: (round) => this.#round(round),
      onError: (error) => sink.onError(error),
    }).start()
  }

  [Symbol.dispose](): void {
    this.#loop[Symbol.dispose]()
    this.#http.close()
  }

  async #round(round: Round): Promise<number> {
    const { clock } = this.#settings
    try {
      await this.#authentication?.ensure(round.signal)
      const due = clock.now() >= this.#dueAt
      if (this.#revision === undefined || due) await this.#readRange(round)
      await this.#watch(round)
    } catch (error) {
      const failure = toError(error)
      if (failure instanceof RemoteError) {
        // Whatever it has against us: nothing that was known about the store is taken for granted.
        this.#revision = undefined
        this.#authentication?.refused()
      }
      throw failure
    }
    return 0
  }

  async #readRange({ signal }: Round): Promise<void> {
    const { clock, random, maxEndpoints, resyncMs } = this.#settings
    const { value } = await this.#http.json({
      method: 'POST',
      target: '/v3/kv/range',
      // One more than is allowed, so that too many are noticed without being read.
      json: { key: this.#key, range_end: this.#rangeEnd, limit: String(maxEndpoints + 1) },
      signal,
    })
    const answer = asRecord('etcd', value)
    const revision = revisionOf(answer)
    this.#instances.clear()
    for (const entry of asArray('etcd', answer['kvs'] ?? [])) this.#put(asRecord('etcd', entry))
    this.#revision = revision
    this.#dueAt = clock.now() + resyncMs * (1 - JITTER * random())
    this.#report()
  }

  /** Until it breaks, is compacted away, or the range is due again. */
  async #watch({ signal, succeeded }: Round): Promise<void> {
    const { clock } = this.#settings
    const revision = this.#revision as bigint
    const request = {
      key: this.#key,
      range_end: this.#rangeEnd,
      start_revision: String(revision + 1n),
      progress_notify: true,
      fragment: true,
    }
    const lifetimeMs = Math.max(1, this.#dueAt - clock.now())
    let created = false
    await this.#http.stream(
      { method: 'POST', target: '/v3/watch', json: { create_request: request }, signal },
      () => {},
      (value) => {
        const result = resultOf(value)
        if (!created) {
          created = true
          this.#checkCreated(result, revision)
          this.#report()
          // Its revision is the store's: what happened up to there is still to come.
          if (result['canceled'] !== true) return
        }
        this.#apply(result)
        succeeded()
      },
      lifetimeMs,
    )
  }

  /** A store that is behind us was restored, or is another one: its future is not ours. */
  #checkCreated(result: JsonRecord, revision: bigint): void {
    if (result['canceled'] === true) return
    const now = revisionOf(result)
    if (now >= revision) return
    this.#revision = undefined
    const message = `etcd is at revision ${now}, before ${revision}: it is another store`
    throw new ProtocolError('ERR_PROTOCOL', message)
  }

  #apply(result: JsonRecord): void {
    if (result['canceled'] === true) {
      this.#revision = undefined
      const compacted = asText(result['compact_revision'])
      const reason = asText(result['cancel_reason'])
      const why = compacted === '' || compacted === '0' ? reason : `compacted to ${compacted}`
      throw new RemoteError('ERR_REMOTE', `etcd ended the watch: ${why || 'no reason given'}`)
    }
    const events = asArray('etcd', result['events'] ?? [])
    for (const event of events) {
      const { type, kv } = asRecord('etcd', event)
      const entry = asRecord('etcd', kv)
      if (type === 'DELETE') this.#instances.delete(asText(entry['key']))
      else this.#put(entry)
    }
    // The rest of the revision follows: a part of a transaction is no set.
    if (result['fragment'] === true) return
    this.#advance(result, events)
    if (events.length > 0) this.#report()
  }

  /**
   * To the last event; only a progress notice, which has none, speaks for the store. A watch that
   * catches up gets events of long ago under a newer revision, with others still to come.
   */
  #advance(result: JsonRecord, events: readonly unknown[]): void {
    const { kv } = events.length === 0 ? {} : asRecord('etcd', events.at(-1))
    const revision =
      kv === undefined ? revisionOf(result) : revisionText(asRecord('etcd', kv)['mod_revision'])
    if (this.#revision === undefined || revision > this.#revision) this.#revision = revision
  }

  #put(entry: JsonRecord): void {
    const key = asText(entry['key'])
    const name = Buffer.from(key, 'base64').toString('utf8')
    try {
      const value = Buffer.from(asText(entry['value']), 'base64').toString('utf8')
      this.#instances.set(key, readInstance(value))
    } catch (cause) {
      // The others are as right as before.
      this.#instances.delete(key)
      const message = `the value of ${name} in etcd is not an endpoint: ${toError(cause).message}`
      this.#wrongValue = new ProtocolError('ERR_MALFORMED', message, { cause })
    }
  }

  #report(): void {
    const { accept, maxEndpoints } = this.#settings
    const size = this.#instances.size
    if (size > maxEndpoints) {
      const message = `${size} or more endpoints are over maxEndpoints ${maxEndpoints}`
      return this.#sink.onError(new ProtocolError('ERR_LIMIT', message))
    }
    this.#sink.onEndpoints(acceptedEndpoints(this.#instances.values(), accept))
    const wrong = this.#wrongValue
    this.#wrongValue = undefined
    if (wrong !== undefined) this.#sink.onError(wrong)
  }
}

/** `host:port`, or a JSON object. @throws UsageError */
export function readInstance(value: string): Instance {
  const text = value.trim()
  if (!text.startsWith('{')) return { endpoint: { address: addressOf(text) }, healthy: true }
  const record = parseRecord(text)
  const address = asText(record['address']) || asText(record['Addr']) || asText(record['addr'])
  const { weight, priority, healthy, locality, hostname } = record
  const endpoint: Endpoint = {
    address: addressOf(address),
    ...(typeof weight === 'number' && { weight: checkRange('weight', weight, 0.01, 1e6) }),
    ...(typeof priority === 'number' && { priority: checkRange('priority', priority, 0, 1_000) }),
    ...(typeof locality === 'string' && { locality }),
    ...(typeof hostname === 'string' && { hostname }),
  }
  const metadata = textRecord(record['metadata'] ?? record['Metadata'])
  return { endpoint, healthy: healthy !== false, metadata }
}

function addressOf(text: string): Endpoint['address'] {
  const address = parseAddress(text)
  if (address.kind === 'ip' && address.port > 0 && !text.startsWith(':')) return address
  if (address.kind === 'unix') return address
  throw new UsageError('ERR_ADDRESS_INVALID', `'${formatAddress(address)}' is not host:port`)
}

function parseRecord(text: string): JsonRecord {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new UsageError('ERR_ADDRESS_INVALID', 'it begins with { and is not JSON')
  }
  return asRecord('the value', value)
}

function resultOf(value: unknown): JsonRecord {
  const record = asRecord('etcd', value)
  const error = record['error']
  if (error === undefined) return asRecord('etcd', record['result'])
  const { message, http_code: status } = asRecord('etcd', error)
  throw new RemoteError('ERR_REMOTE', `etcd ended the watch: ${asText(message)}`, {
    ...(typeof status === 'number' && { status }),
  })
}

/** 64-bit numbers come as text. */
function revisionOf(answer: JsonRecord): bigint {
  return revisionText(asRecord('etcd', answer['header'])['revision'])
}

function revisionText(revision: unknown): bigint {
  if (typeof revision === 'string' && /^\d{1,19}$/.test(revision)) return BigInt(revision)
  throw new ProtocolError('ERR_MALFORMED', 'etcd answered without a revision: is it etcd?')
}

/** The first key after all that begin with `prefix`. */
export function endOfPrefix(prefix: Uint8Array): Buffer {
  const end = Buffer.from(prefix)
  for (let at = end.length - 1; at >= 0; at--) {
    const byte = end[at] as number
    if (byte === 0xff) continue
    end[at] = byte + 1
    return end.subarray(0, at + 1)
  }
  return Buffer.of(0) // etcd: to the end of everything
}

function makeHttp(settings: Settings, token: () => string | undefined): RegistryHttp {
  return new RegistryHttp({
    ...settings,
    name: 'etcd',
    defaultUrl: etcdDefaults.url,
    token: () => token() ?? '',
    credentials: (value) => ['authorization', value],
  })
}

const JITTER = 0.1
