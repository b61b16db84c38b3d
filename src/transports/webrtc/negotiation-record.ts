/**
 * What one negotiation has come to, for the error of one that fails. "Too late" alone does not tell
 * a peer that is away from two NATs with no way between them, and ICE itself gives no reason.
 *
 * Only kinds of candidates are named: addresses of a private network have no business in a log.
 */
export class NegotiationRecord {
  readonly #ours = new Set<string>()
  readonly #theirs = new Set<string>()
  #described = false

  /** A candidate of ours, as the driver tells it. */
  found(candidate: string): void {
    collect(candidate, this.#ours)
  }

  /** The description that the peer answered or offered with. It may have candidates in it. */
  heard(sdp: string): void {
    this.#described = true
    collect(sdp, this.#theirs)
  }

  /** A candidate of the peer that came by itself. */
  told(candidate: string): void {
    collect(candidate, this.#theirs)
  }

  /** What is missing. `servers`: whether there is a STUN or TURN server that we could ask. */
  missing(servers: boolean): string {
    if (!this.#described) return 'the peer has not answered'
    const tried = `from us (${list(this.#ours)}) to the peer (${list(this.#theirs)})`
    return `no way was found ${tried}${this.#advice(servers)}`
  }

  #advice(servers: boolean): string {
    if (this.#ours.has('relay') || this.#theirs.has('relay')) return ''
    if (!servers) return '; iceServers names no STUN or TURN server'
    return '; neither side has a relay, which a TURN server gives'
  }
}

function collect(text: string, kinds: Set<string>): void {
  for (const [, kind] of text.matchAll(KIND)) kinds.add(kind!)
}

function list(kinds: ReadonlySet<string>): string {
  return KINDS.filter((kind) => kinds.has(kind)).join(', ') || 'no candidate'
}

/** RFC 8445, section 5.1.1, in the order in which a peer comes to know them. */
const KINDS = ['host', 'srflx', 'prflx', 'relay']
/** Nothing before it: on a line of 64 KiB that a peer wrote this has to be linear. */
const KIND = / typ (host|srflx|prflx|relay)\b/g
