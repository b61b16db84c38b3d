/**
 * Keeps a server from being used to flood somebody else: whoever forges a source address gets no
 * more bytes sent there than they sent themselves, until that address has answered something only
 * it can have received (RFC 9000, section 8, allows three times as much).
 *
 * What proves that is the protocol's: a cookie, a nonce, an acknowledgement. It calls `prove`.
 */
import { checkInteger, checkRange } from '../../core/errors.ts'

export interface AmplificationOptions {
  /** Bytes that may go back for each byte received. @default 1: no amplification at all */
  factor?: number
  /** Peers that are remembered; the oldest are forgotten, and must prove again. @default 4_096 */
  maxPeers?: number
}

export const amplificationDefaults: Readonly<Required<AmplificationOptions>> = Object.freeze({
  factor: 1,
  maxPeers: 4_096, // some 600 KiB when all are in use
})

/** @throws UsageError ERR_OPTION_RANGE */
export function checkAmplification(
  options: AmplificationOptions,
): Readonly<Required<AmplificationOptions>> {
  const { factor = amplificationDefaults.factor, maxPeers = amplificationDefaults.maxPeers } =
    options
  return {
    factor: checkRange('amplification.factor', factor, 0, 100),
    maxPeers: checkInteger('amplification.maxPeers', maxPeers, 1, 1_048_576),
  }
}

/** A peer is an address with its port, as text. */
export class AmplificationGuard {
  readonly #factor: number
  readonly #maxPeers: number
  /** Bytes that may still be sent. Forgetting an unproven peer takes its allowance away. */
  readonly #allowances = new Map<string, number>()
  /** Apart, so that made-up sources cannot push out those that have proven themselves. */
  readonly #proven = new Set<string>()

  constructor(options: AmplificationOptions = {}) {
    const { factor, maxPeers } = checkAmplification(options)
    this.#factor = factor
    this.#maxPeers = maxPeers
  }

  /** Peers remembered, proven and not. */
  get peerCount(): number {
    return this.#allowances.size + this.#proven.size
  }

  isProven(peer: string): boolean {
    return this.#proven.has(peer)
  }

  received(peer: string, bytes: number): void {
    if (this.#proven.has(peer)) return
    const had = this.#allowances.get(peer)
    if (had === undefined) makeRoom(this.#allowances, this.#maxPeers)
    this.#allowances.set(peer, (had ?? 0) + bytes * this.#factor)
  }

  /** @returns false: it must not be sent */
  trySend(peer: string, bytes: number): boolean {
    if (this.#proven.has(peer)) return true
    const allowed = this.#allowances.get(peer) ?? 0
    if (bytes > allowed) return false
    this.#allowances.set(peer, allowed - bytes)
    return true
  }

  /** The peer has answered what only it can have received. */
  prove(peer: string): void {
    this.#allowances.delete(peer)
    if (this.#proven.has(peer)) return
    makeRoom(this.#proven, this.#maxPeers)
    this.#proven.add(peer)
  }

  forget(peer: string): void {
    this.#allowances.delete(peer)
    this.#proven.delete(peer)
  }
}

/** Insertion order is age. */
function makeRoom(peers: Map<string, number> | Set<string>, max: number): void {
  if (peers.size < max) return
  for (const oldest of peers.keys()) {
    peers.delete(oldest)
    return
  }
}
