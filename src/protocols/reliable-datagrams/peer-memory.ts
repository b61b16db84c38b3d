/**
 * Which messages of which peers have come already, and what is to be acknowledged. Both bounded:
 * senders of datagrams can be made up.
 */
import type { Address } from '../../core/address.ts'

/** One peer. */
export class PeerMemory {
  readonly address: Address
  /** Numbers to acknowledge, of the epoch that they belong to. */
  pendingEpoch = 0
  pending: number[] = []
  readonly #remembered: number
  /** The peer's process, and the one before it, whose last copies may still be on their way. */
  #current: Epoch | undefined
  #previous: Epoch | undefined

  constructor(address: Address, remembered: number) {
    this.address = address
    this.#remembered = remembered
  }

  /** @returns true: this message has come before */
  note(epoch: number, number: number): boolean {
    const { seen } = this.#epochOf(epoch)
    // Asked for again: it moves to the end, and is forgotten last.
    const isCopy = seen.delete(number)
    seen.add(number)
    if (seen.size > this.#remembered) {
      for (const oldest of seen) {
        seen.delete(oldest)
        break
      }
    }
    return isCopy
  }

  #epochOf(epoch: number): Epoch {
    if (this.#current?.epoch === epoch) return this.#current
    if (this.#previous?.epoch === epoch) return this.#previous
    this.#previous = this.#current
    this.#current = { epoch, seen: new Set() }
    return this.#current
  }
}

/** All of them: the one that was silent for longest makes room. */
export class PeerMemories {
  readonly #peers = new Map<string, PeerMemory>()
  readonly #maxPeers: number
  readonly #remembered: number
  #last: PeerMemory | undefined

  constructor(maxPeers: number, remembered: number) {
    this.#maxPeers = maxPeers
    this.#remembered = remembered
  }

  get size(): number {
    return this.#peers.size
  }

  find(from: Address): PeerMemory {
    // Sockets give one object for one peer as long as they can: most datagrams end here.
    if (this.#last?.address === from) return this.#last
    const key = peerKey(from)
    let peer = this.#peers.get(key)
    if (peer === undefined) peer = this.#add(key, from)
    else {
      this.#peers.delete(key)
      this.#peers.set(key, peer)
    }
    this.#last = peer
    return peer
  }

  #add(key: string, from: Address): PeerMemory {
    if (this.#peers.size >= this.#maxPeers) {
      for (const oldest of this.#peers.keys()) {
        this.#peers.delete(oldest)
        break
      }
    }
    const peer = new PeerMemory(from, this.#remembered)
    this.#peers.set(key, peer)
    return peer
  }
}

/** Two addresses are one peer when this is the same. */
export function peerKey(address: Address): string {
  switch (address.kind) {
    case 'ip':
      return `${address.host} ${address.port}`
    case 'unix':
      return `${address.abstract === true ? 'abstract' : 'unix'} ${address.path}`
    case 'memory':
      return `memory ${address.name}`
    case 'url':
      return `url ${address.url}`
  }
}

interface Epoch {
  readonly epoch: number
  readonly seen: Set<number>
}
