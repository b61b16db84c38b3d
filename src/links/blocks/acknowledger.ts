/**
 * Blocks over datagrams that arrive after all: each is acknowledged by a block of its own, sent again
 * until it is, and known again when it comes twice.
 *
 *     sender   block ──────────► receiver          again after 250, 500, 1,000, 2,000, 4,000 ms
 *              ◄────────── acknowledgement          of every copy that comes
 *
 * **No amplification.** An acknowledgement has 227 bytes, and goes out only as far as its peer has
 * sent as much: who forges a source address gets no more sent there than they sent. A block that is
 * shorter than its acknowledgement is therefore sent twice at once.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { checkInteger, OverloadError, TimeoutError } from '../../core/errors.ts'
import type { BlockAck } from '../../protocols/olocus/ack-payload.ts'
import { blockCodeName, blockError } from '../../protocols/olocus/block-codes.ts'
import { hexText } from '../../protocols/olocus/byte-text.ts'
import { AmplificationGuard } from '../../transports/udp/amplification-guard.ts'

export interface ReliableOptions {
  /** Time until a block is sent again; it doubles each time. @default 250 */
  retransmitMs?: number
  /** Times that a block is sent; then its peer is not there. @default 5 */
  maxTries?: number
  /** Blocks that wait for their acknowledgement at a time. @default 1_024 */
  maxUnacknowledged?: number
  /** Blocks that are known again when they come twice. @default 4_096 */
  maxRemembered?: number
}

export const reliableDefaults: Readonly<Required<ReliableOptions>> = Object.freeze({
  retransmitMs: 250, // twice a round trip around the world
  maxTries: 5, // 7.75 s in all: a path that is broken longer is another path
  maxUnacknowledged: 1_024,
  maxRemembered: 4_096, // 400 KB; in a minute at 70 blocks a second none comes again that is not
})

interface Pending {
  tries: number
  timer: Timer | undefined
  readonly send: () => void
  settle(error: unknown): void
}

export class Acknowledger {
  readonly #clock: Clock
  readonly #options: Readonly<Required<ReliableOptions>>
  readonly #pending = new Map<string, Pending>()
  /** In order of age. */
  readonly #remembered = new Set<string>()
  readonly #guard = new AmplificationGuard()

  constructor(clock: Clock, options: ReliableOptions) {
    const {
      retransmitMs = reliableDefaults.retransmitMs,
      maxTries = reliableDefaults.maxTries,
      maxUnacknowledged = reliableDefaults.maxUnacknowledged,
      maxRemembered = reliableDefaults.maxRemembered,
    } = options
    this.#clock = clock
    this.#options = {
      retransmitMs: checkInteger('retransmitMs', retransmitMs, 1, 60_000),
      maxTries: checkInteger('maxTries', maxTries, 1, 16),
      maxUnacknowledged: checkInteger('maxUnacknowledged', maxUnacknowledged, 1, 1_048_576),
      maxRemembered: checkInteger('maxRemembered', maxRemembered, 1, 1_048_576),
    }
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  /** Resolves when the peer has acknowledged it. @param send sends one copy */
  deliver(hash: Uint8Array, to: Address, send: () => void, signal?: AbortSignal): Promise<void> {
    const name = nameOf(hash, to)
    if (this.#pending.has(name) || this.#pending.size >= this.#options.maxUnacknowledged) {
      const text = `${this.#pending.size} blocks wait for their acknowledgement, this one among them or too many`
      return Promise.reject(new OverloadError('ERR_BUSY', text))
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => entry.settle(signal?.reason)
      const entry: Pending = {
        tries: 0,
        timer: undefined,
        send,
        settle: (error) => {
          entry.timer?.cancel()
          signal?.removeEventListener('abort', onAbort)
          this.#pending.delete(name)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.set(name, entry)
      this.#try(entry, to)
    })
  }

  onAck(ack: BlockAck, from: Address): void {
    const entry = this.#pending.get(nameOf(ack.blockHash, from))
    if (entry === undefined) return // late, or about nothing of ours
    if (ack.code === 0) return entry.settle(undefined)
    const name = blockCodeName(ack.code) ?? 'MalformedBlock'
    entry.settle(blockError(name, `the peer has refused the block: ${name}`))
  }

  /** @returns true: it has come before */
  remember(hash: Uint8Array, from: Address): boolean {
    const name = nameOf(hash, from)
    if (this.#remembered.has(name)) return true
    if (this.#remembered.size >= this.#options.maxRemembered) {
      for (const oldest of this.#remembered) {
        this.#remembered.delete(oldest)
        break
      }
    }
    this.#remembered.add(name)
    return false
  }

  received(from: Address, bytes: number): void {
    this.#guard.received(formatAddress(from), bytes)
  }
  /** Whether so many bytes may go to somebody who has proven nothing. */
  mayAnswer(to: Address, bytes: number): boolean {
    return this.#guard.trySend(formatAddress(to), bytes)
  }

  close(reason: Error): void {
    for (const entry of [...this.#pending.values()]) entry.settle(reason)
  }

  #try(entry: Pending, to: Address): void {
    const { retransmitMs, maxTries } = this.#options
    if (entry.tries >= maxTries) {
      const text = `${formatAddress(to)} has not acknowledged a block that was sent ${maxTries} times`
      return entry.settle(new TimeoutError('ERR_DEADLINE', text))
    }
    const wait = retransmitMs * 2 ** entry.tries
    entry.tries += 1
    try {
      entry.send()
    } catch (error) {
      return entry.settle(error)
    }
    entry.timer = this.#clock.setTimer(this.#clock.now() + wait, () => this.#try(entry, to))
  }
}

function nameOf(hash: Uint8Array, peer: Address): string {
  return `${formatAddress(peer)} ${hexText(hash)}`
}
