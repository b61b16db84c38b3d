/**
 * TLS sessions of a client, for resumption: a second connection to the same server saves a round
 * trip or the expensive half of the handshake.
 *
 * A TLS 1.3 ticket is used once, so that an observer cannot tell that two connections belong
 * together (RFC 8446, appendix C.4); servers send some for each connection. A TLS 1.2 session is
 * used again. Bounded; the least recently stored goes first.
 */
export class SessionCache {
  readonly #max: number
  /** Insertion order is age. */
  readonly #sessions = new Map<string, Session[]>()
  #count = 0

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#count
  }

  put(server: string, bytes: Uint8Array, singleUse: boolean): void {
    if (this.#max === 0) return
    const kept = this.#sessions.get(server) ?? []
    this.#sessions.delete(server)
    this.#sessions.set(server, kept)
    if (!singleUse) this.#count -= kept.splice(0).length
    kept.push({ bytes, singleUse })
    this.#count += 1
    while (this.#count > this.#max) this.#dropOldest()
  }

  /** The newest session for the server. */
  take(server: string): Uint8Array | undefined {
    const kept = this.#sessions.get(server)
    const session = kept?.at(-1)
    if (kept === undefined || session === undefined) return undefined
    if (session.singleUse) {
      kept.pop()
      this.#count -= 1
      if (kept.length === 0) this.#sessions.delete(server)
    }
    return session.bytes
  }

  #dropOldest(): void {
    for (const [server, kept] of this.#sessions) {
      kept.shift()
      this.#count -= 1
      if (kept.length === 0) this.#sessions.delete(server)
      return
    }
  }
}

interface Session {
  readonly bytes: Uint8Array
  readonly singleUse: boolean
}
