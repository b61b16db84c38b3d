/**
 * One bound on the connections of several pools, wherever they are: in this thread, or in worker
 * threads that share memory.
 *
 *     Int32   0        permits (a constant)
 *             1        a counter that moves whenever somebody should look again
 *             2..65    who waits: one word for each participant, 1 while it wants a permit
 *             66..     the permits: 0 is free, n is held by participant n
 *
 * **A permit is a cell that names its holder**, taken and given back by one compare-and-exchange. So
 * a thread that dies at any instruction leaves nothing half done: `reclaim` frees every cell that
 * names it. A counter could not tell whose permits are gone.
 *
 * **Nobody sits on idle connections while others wait.** A pool whose call cannot get a permit says
 * so (`want`), and pools that have more than they need close one.
 */
import { checkInteger, UsageError } from '../core/errors.ts'

/** What a pool takes permits of. */
export interface ConnectionQuota {
  /** False: all are taken. */
  tryTake(): boolean
  giveBack(): void
  /** Whether a call here waits for a permit. */
  want(waiting: boolean): void
  /** Somebody waits for one, and none is free. */
  readonly contended: boolean
  /** Called when a permit may have become free, or somebody wants one. Returns the end of it. */
  watch(callback: () => void): () => void
}

/** What a worker thread is given (`workerData`): memory, and which participant it is. */
export interface QuotaShare {
  readonly memory: SharedArrayBuffer
  readonly participant: number
}

/** Made by the thread that starts the others. */
export class SharedQuota {
  readonly #memory: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #joined = new Set<number>()

  /** @param maxConnections over all participants */
  constructor(maxConnections: number) {
    checkInteger('maxConnections', maxConnections, 1, MAX_PERMITS)
    this.#memory = new SharedArrayBuffer((PERMITS + maxConnections) * 4)
    this.#words = new Int32Array(this.#memory)
    this.#words[SIZE] = maxConnections
  }

  /**
   * A new participant, for a worker or for this thread.
   *
   * @throws UsageError ERR_STATE when 64 take part
   */
  join(): QuotaShare {
    for (let participant = 1; participant <= MAX_PARTICIPANTS; participant++) {
      if (this.#joined.has(participant)) continue
      this.#joined.add(participant)
      return { memory: this.#memory, participant }
    }
    throw new UsageError('ERR_STATE', `${MAX_PARTICIPANTS} take part already, which is the most`)
  }

  /**
   * The participant is gone (its thread has exited): what it held is free again, and its number may
   * be given to another. Never for one that still runs.
   */
  reclaim(share: QuotaShare): number {
    const { participant } = share
    if (share.memory !== this.#memory) {
      throw new UsageError('ERR_ARGUMENT', 'the share is of another quota')
    }
    if (!this.#joined.delete(participant)) return 0
    const words = this.#words
    Atomics.store(words, WANTS + participant - 1, 0)
    let count = 0
    for (let at = PERMITS; at < words.length; at++) {
      if (Atomics.compareExchange(words, at, participant, FREE) === participant) count++
    }
    signal(words)
    return count
  }

  /** Permits that are taken now. */
  get taken(): number {
    let count = 0
    for (let at = PERMITS; at < this.#words.length; at++) {
      if (Atomics.load(this.#words, at) !== FREE) count++
    }
    return count
  }
}

/** One participant's side. One for each thread: pools of the thread share it. */
export class QuotaParticipant implements ConnectionQuota {
  readonly #words: Int32Array
  readonly #participant: number
  readonly #watchers = new Set<() => void>()
  /** Cells that name us. */
  readonly #held: number[] = []
  #wanting = 0
  #waiting = false
  #seen = 0
  /** Where the last free cell was found: the search begins there. */
  #hint = PERMITS

  constructor(share: QuotaShare) {
    this.#words = new Int32Array(share.memory)
    this.#participant = checkInteger('participant', share.participant, 1, MAX_PARTICIPANTS)
  }

  get max(): number {
    return this.#words[SIZE] as number
  }

  /** Permits held here. */
  get held(): number {
    return this.#held.length
  }

  get contended(): boolean {
    return this.#isWanted() && !this.#isFree()
  }

  tryTake(): boolean {
    const words = this.#words
    for (let tried = PERMITS; tried < words.length; tried++) {
      const at = this.#hint
      this.#hint = at + 1 < words.length ? at + 1 : PERMITS
      if (Atomics.load(words, at) !== FREE) continue
      if (Atomics.compareExchange(words, at, FREE, this.#participant) === FREE) {
        this.#held.push(at)
        return true
      }
    }
    return false
  }

  giveBack(): void {
    const at = this.#held.pop()
    if (at === undefined) throw new UsageError('ERR_STATE', 'no permit is held here')
    // After a reclaim in error the cell may name somebody else by now: it is theirs then.
    Atomics.compareExchange(this.#words, at, this.#participant, FREE)
    this.#hint = at
    if (this.#isWanted()) signal(this.#words)
  }

  want(waiting: boolean): void {
    this.#wanting += waiting ? 1 : -1
    Atomics.store(this.#words, WANTS + this.#participant - 1, this.#wanting > 0 ? 1 : 0)
    if (waiting) signal(this.#words)
  }

  watch(callback: () => void): () => void {
    this.#watchers.add(callback)
    this.#listen()
    return () => void this.#watchers.delete(callback)
  }

  /** By others, or by another pool of this thread. */
  #isWanted(): boolean {
    for (let at = WANTS; at < PERMITS; at++) if (Atomics.load(this.#words, at) === 1) return true
    return false
  }

  #isFree(): boolean {
    const words = this.#words
    for (let at = PERMITS; at < words.length; at++) {
      if (Atomics.load(words, at) === FREE) return true
    }
    return false
  }

  #listen(): void {
    if (this.#waiting || this.#watchers.size === 0) return
    this.#seen = Atomics.load(this.#words, SIGNAL)
    const wait = Atomics.waitAsync(this.#words, SIGNAL, this.#seen)
    this.#waiting = true
    const woken = (): void => {
      this.#waiting = false
      // Listening first: what is told while the watchers look is not missed.
      this.#listen()
      for (const watcher of [...this.#watchers]) watcher()
    }
    if (wait.async) wait.value.then(woken)
    else queueMicrotask(woken)
  }
}

/** The part of a bound that one of `count` workers has; the first ones take what does not divide. */
export function workerShare(max: number, worker: number, count: number): number {
  checkInteger('count', count, 1, MAX_PERMITS)
  checkInteger('worker', worker, 0, count - 1)
  checkInteger('max', max, count, 0x7fff_ffff)
  return Math.floor(max / count) + (worker < max % count ? 1 : 0)
}

function signal(words: Int32Array): void {
  Atomics.add(words, SIGNAL, 1)
  Atomics.notify(words, SIGNAL)
}

const FREE = 0
const SIZE = 0
const SIGNAL = 1
const WANTS = 2
const MAX_PARTICIPANTS = 64
const PERMITS: number = WANTS + MAX_PARTICIPANTS
/** The search for a free one walks them. */
const MAX_PERMITS = 65_536
