/**
 * One direction of a memory link: what a kernel's socket buffer is to TCP.
 *
 *     page | consumed | viewed by onData | waiting ... | free ... |   page | ...
 *                     ^ start            ^             ^ end
 *
 * Bytes are copied in, so that a writer may reuse its region at once, and merged: a reader never
 * sees where one write ended. Pages are shared by all links of the process, so that an idle link
 * holds none.
 */
import type { ChunkLease } from '../../core/connection.ts'

export class MemoryPipe {
  readonly #capacity: number
  readonly #poisons: boolean
  readonly #onLease: (change: number) => void
  #pages: Page[] = []
  #length = 0
  #viewedPage: Page | undefined
  #view: Uint8Array = EMPTY
  /** Of the viewed chunk: it is nobody's when the last has come back. */
  #leases: { count: number } | undefined

  /**
   * @param poisons overwrite each chunk when its borrower has had it
   * @param onLease told +1 and -1, for leak checks
   */
  constructor(capacity: number, poisons: boolean, onLease: (change: number) => void) {
    this.#capacity = capacity
    this.#poisons = poisons
    this.#onLease = onLease
  }

  /** Bytes waiting. */
  get length(): number {
    return this.#length
  }

  /** Copies as much of `chunk` as there is room for. @returns the number of bytes */
  put(chunk: Uint8Array): number {
    const total = Math.min(chunk.length, this.#capacity - this.#length)
    let done = 0
    while (done < total) {
      let page = this.#pages[this.#pages.length - 1]
      if (page === undefined || page.end === PAGE_BYTES) {
        page = takePage()
        this.#pages.push(page)
      }
      const count = Math.min(total - done, PAGE_BYTES - page.end)
      page.bytes.set(chunk.subarray(done, done + count), page.end)
      page.end += count
      done += count
    }
    this.#length += total
    return total
  }

  /** The next bytes, at most `max`, in one piece. Call `settle` when the borrower is done. */
  take(max: number): Uint8Array {
    const page = this.#pages[0] as Page
    const count = Math.min(max, page.end - page.start)
    this.#view = page.bytes.subarray(page.start, page.start + count)
    this.#viewedPage = page
    this.#leases = undefined
    page.start += count
    this.#length -= count
    return this.#view
  }

  /** Keeps the memory of the chunk that `take` gave last. */
  lease(): ChunkLease {
    const page = this.#viewedPage as Page
    const leases = (this.#leases ??= { count: 0 })
    leases.count += 1
    page.leases += 1
    const view = this.#view
    this.#onLease(1)
    return makeLease(() => {
      page.leases -= 1
      leases.count -= 1
      const borrowed = this.#view === view // until onData returns: settle sees to it
      if (this.#poisons && leases.count === 0 && !borrowed) view.fill(POISON)
      this.#onLease(-1)
    })
  }

  /** The borrower has returned. */
  settle(): void {
    const page = this.#viewedPage
    if (page === undefined) return
    if (this.#poisons && (this.#leases?.count ?? 0) === 0) this.#view.fill(POISON)
    this.#viewedPage = undefined
    this.#view = EMPTY
    if (page.start < page.end || this.#pages[0] !== page) return
    this.#pages.shift() // nothing waits in it
    if (page.leases === 0) givePage(page)
  }

  /** Drops what waits. A chunk that is being looked at stays valid. */
  clear(): void {
    this.#pages = []
    this.#length = 0
  }
}

/** Shared by the pipe and by bytes that were put back: `release` once, later calls do nothing. */
export function makeLease(onRelease: () => void): ChunkLease {
  let held = true
  return {
    release() {
      if (!held) return
      held = false
      onRelease()
    },
  }
}

interface Page {
  readonly bytes: Uint8Array
  start: number
  end: number
  /** A page with leases is left to the garbage collector instead of being filled again. */
  leases: number
}

function takePage(): Page {
  return freePages.pop() ?? { bytes: new Uint8Array(PAGE_BYTES), start: 0, end: 0, leases: 0 }
}

function givePage(page: Page): void {
  if (freePages.length >= MAX_FREE_PAGES) return
  page.start = 0
  page.end = 0
  freePages.push(page)
}

const PAGE_BYTES = 16_384
/** Half a MiB at most stays with the process. */
const MAX_FREE_PAGES = 32
const freePages: Page[] = []
const EMPTY = new Uint8Array(0)

/** What a view that was kept too long reads. Not a letter, not zero. */
export const POISON = 0xdb
