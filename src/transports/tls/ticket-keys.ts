/**
 * Keys of session tickets (RFC 5077, RFC 8446 4.6.1): the newest encrypts, a few older ones still
 * decrypt, and what they decrypt is answered with a ticket of the newest.
 *
 *     time ──▸ |  epoch 7  |  epoch 8  |  epoch 9  |
 *     encrypts      k7          k8          k9
 *     decrypts      k7        k8 k7      k9 k8 k7        previous: 2
 *
 * A key that leaks opens the TLS 1.2 sessions whose tickets it encrypted, so keys are short-lived.
 * Two ways of having them: **random**, known to one listener only and forgotten when their time is
 * over; and **derived** from a secret that servers share, one key for each period of the wall clock,
 * so that threads, processes and machines resume each other's sessions without talking.
 */
import { hkdfSync, randomBytes } from 'node:crypto'
import type { SecureContext } from 'node:tls'
import type { Clock } from '../../core/clock.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'

export interface TicketKey {
  /** 16 bytes in front of every ticket; says which key it was. */
  readonly name: Buffer
  readonly hmac: Buffer
  readonly aes: Buffer
}

export interface TicketKeySource {
  /** The key that encrypts, then those which only decrypt. Never empty. */
  keys(): readonly TicketKey[]
}

export interface RotatingTicketKeysOptions {
  clock: Clock
  /**
   * How long one key encrypts, in milliseconds.
   *
   * @default 3_600_000 (an hour; OpenSSL lets a session live for two)
   */
  periodMs?: number
  /** Keys before the newest that still decrypt. @default 2, as long as a session lives */
  previous?: number
  /**
   * At least 32 secret bytes that servers share. Their wall clocks may differ by a period: the key
   * after the newest decrypts as well. Whoever learns the secret learns every key, so exchange it
   * from time to time.
   *
   * @default none: random keys
   */
  secret?: Uint8Array
}

export const ticketKeyDefaults: Readonly<{ periodMs: number; previous: number }> = Object.freeze({
  periodMs: 3_600_000,
  previous: 2,
})

/** @throws UsageError ERR_OPTION_RANGE */
export function rotatingTicketKeys(options: RotatingTicketKeysOptions): TicketKeySource {
  const { clock, secret } = options
  const { periodMs = ticketKeyDefaults.periodMs, previous = ticketKeyDefaults.previous } = options
  checkInteger('periodMs', periodMs, 1, MAX_PERIOD_MS)
  checkInteger('previous', previous, 0, MAX_PREVIOUS)
  if (secret === undefined) return new RandomTicketKeys(clock, periodMs, previous)
  if (secret.length < MIN_SECRET_BYTES) {
    const message = `secret has ${secret.length} bytes, must have at least ${MIN_SECRET_BYTES}`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  return new DerivedTicketKeys(clock, periodMs, previous, Buffer.from(secret))
}

/**
 * Keys from outside, 48 bytes each, in the layout of nginx's files: name, HMAC key, AES key.
 *
 * @param keys the first encrypts
 * @throws UsageError ERR_OPTION_RANGE
 */
export function fixedTicketKeys(keys: Uint8Array | readonly Uint8Array[]): TicketKeySource {
  const list = (keys instanceof Uint8Array ? [keys] : keys).map(ticketKey)
  checkInteger('ticketKeys.length', list.length, 1, MAX_PREVIOUS + 1)
  return { keys: () => list }
}

/** Makes a context take its keys from `source`, for each ticket anew. */
export function useTicketKeys(context: SecureContext, source: TicketKeySource): void {
  const native = context.context as NativeContext
  // Not in Node's documentation, though there since version 4. Without it, one key until a reload.
  if (typeof native.enableTicketKeyCallback !== 'function') {
    const { name, hmac, aes } = source.keys()[0] as TicketKey
    native.setTicketKeys(Buffer.concat([name, hmac, aes]))
    return
  }
  native.onticketkeycallback = (name, _iv, encrypt) => {
    const keys = source.keys()
    if (encrypt) {
      const newest = keys[0] as TicketKey
      return [USE, newest.hmac, newest.aes, newest.name, randomBytes(16)]
    }
    const at = keys.findIndex((key) => key.name.equals(name))
    const key = keys[at]
    if (key === undefined) return [UNKNOWN, NO_KEY, NO_KEY]
    return [at === 0 ? USE : USE_AND_RENEW, key.hmac, key.aes]
  }
  native.enableTicketKeyCallback()
}

class RandomTicketKeys implements TicketKeySource {
  readonly #clock: Clock
  readonly #periodMs: number
  readonly #previous: number
  readonly #startedAt: number
  #epoch = 0
  #keys: readonly { readonly epoch: number; readonly key: TicketKey }[]
  #list: readonly TicketKey[]

  constructor(clock: Clock, periodMs: number, previous: number) {
    this.#clock = clock
    this.#periodMs = periodMs
    this.#previous = previous
    this.#startedAt = clock.now()
    this.#keys = [{ epoch: 0, key: randomKey() }]
    this.#list = this.#keys.map(({ key }) => key)
  }

  keys(): readonly TicketKey[] {
    const epoch = Math.floor((this.#clock.now() - this.#startedAt) / this.#periodMs)
    if (epoch > this.#epoch) {
      this.#epoch = epoch
      const kept = this.#keys.filter((one) => one.epoch >= epoch - this.#previous)
      this.#keys = [{ epoch, key: randomKey() }, ...kept]
      this.#list = this.#keys.map(({ key }) => key)
    }
    return this.#list
  }
}

class DerivedTicketKeys implements TicketKeySource {
  readonly #clock: Clock
  readonly #periodMs: number
  readonly #previous: number
  readonly #secret: Buffer
  #epoch = Number.NaN
  #list: readonly TicketKey[] = []

  constructor(clock: Clock, periodMs: number, previous: number, secret: Buffer) {
    this.#clock = clock
    this.#periodMs = periodMs
    this.#previous = previous
    this.#secret = secret
  }

  keys(): readonly TicketKey[] {
    // Wall clock: the only one that servers share.
    const epoch = Math.floor(this.#clock.wallNow() / this.#periodMs)
    if (epoch !== this.#epoch) {
      this.#epoch = epoch
      const epochs = [epoch, epoch + 1]
      for (let back = 1; back <= this.#previous; back++) epochs.push(epoch - back)
      this.#list = epochs.map((each) => this.#derive(each))
    }
    return this.#list
  }

  #derive(epoch: number): TicketKey {
    const info = `${this.#periodMs}:${epoch}`
    return ticketKey(new Uint8Array(hkdfSync('sha256', this.#secret, SALT, info, KEY_BYTES)))
  }
}

function randomKey(): TicketKey {
  return ticketKey(randomBytes(KEY_BYTES))
}

function ticketKey(bytes: Uint8Array): TicketKey {
  if (bytes.length !== KEY_BYTES) {
    const message = `ticketKeys has ${bytes.length} bytes, must have ${KEY_BYTES}`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  const all = Buffer.from(bytes)
  return { name: all.subarray(0, 16), hmac: all.subarray(16, 32), aes: all.subarray(32, 48) }
}

interface NativeContext {
  enableTicketKeyCallback?: () => void
  onticketkeycallback?: (name: Buffer, iv: Buffer, encrypt: boolean) => readonly unknown[]
  setTicketKeys(keys: Buffer): void
}

/** What OpenSSL's callback may answer. */
const UNKNOWN = 0
const USE = 1
const USE_AND_RENEW = 2
const NO_KEY = Buffer.alloc(16)
const KEY_BYTES = 48
const MIN_SECRET_BYTES = 32
const MAX_PREVIOUS = 16
const MAX_PERIOD_MS = 31_536_000_000
const SALT = 'heddle tls session tickets'
