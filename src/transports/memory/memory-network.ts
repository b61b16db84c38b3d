/**
 * Who listens under which name. Tests make their own, so that they share nothing.
 */
import { TransportError } from '../../core/errors.ts'
import type { MemoryListener } from './memory-listener.ts'

export class MemoryNetwork {
  readonly #listeners = new Map<string, MemoryListener>()
  #names = 0
  #leases = 0

  get listenerCount(): number {
    return this.#listeners.size
  }

  /** Chunks that were leased and not released yet: 0 after a test that leaks none. */
  get leaseCount(): number {
    return this.#leases
  }

  /** @throws TransportError ERR_ADDRESS_IN_USE */
  add(name: string, listener: MemoryListener): void {
    if (this.#listeners.has(name)) {
      throw new TransportError('ERR_ADDRESS_IN_USE', `mem:${name} is in use`, { sent: 'nothing' })
    }
    this.#listeners.set(name, listener)
  }

  find(name: string): MemoryListener | undefined {
    return this.#listeners.get(name)
  }

  /** Only if it is still this listener's. */
  remove(name: string, listener: MemoryListener): void {
    if (this.#listeners.get(name) === listener) this.#listeners.delete(name)
  }

  freshName(): string {
    for (;;) {
      this.#names += 1
      const name = `auto-${this.#names}`
      if (!this.#listeners.has(name)) return name
    }
  }

  countLease(change: number): void {
    this.#leases += change
  }
}
