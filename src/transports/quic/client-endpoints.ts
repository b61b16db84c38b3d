/**
 * The sockets that a transport dials from: as few as the limit of connections for each allows, and
 * none a moment after the last connection has gone.
 */
import type { Address } from '../../core/address.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { ClosedError } from '../../core/errors.ts'
import type { CarrierFamily, QuicDriver, QuicEndpoint } from './quic-driver.ts'

export class ClientEndpoints {
  readonly #driver: () => QuicDriver
  readonly #maxConnections: number
  readonly #clock: Clock
  readonly #endpoints = new Map<CarrierFamily, Entry[]>()

  constructor(driver: () => QuicDriver, maxConnections: number, clock: Clock) {
    this.#driver = driver
    this.#maxConnections = maxConnections
    this.#clock = clock
  }

  /** How many sockets there are. */
  get size(): number {
    let size = 0
    for (const entries of this.#endpoints.values()) size += entries.length
    return size
  }

  /** One with room, whose place is taken until `done` is called. */
  async take(remote: Address): Promise<{ endpoint: QuicEndpoint; done(): void }> {
    const family = familyOf(remote)
    const entries = this.#endpoints.get(family) ?? []
    this.#endpoints.set(family, entries)
    let entry = entries.find((one) => this.#hasRoom(one))
    if (entry === undefined) {
      entry = {
        opening: this.#driver().openClient(family),
        taken: 0,
        ready: undefined,
        timer: undefined,
      }
      entries.push(entry)
    }
    const found = entry
    found.taken += 1
    found.timer?.cancel()
    found.timer = undefined
    const done = (): void => {
      found.taken -= 1
      this.#closeLater(entries, found)
    }
    try {
      found.ready = await found.opening
    } catch (error) {
      found.taken -= 1
      remove(entries, found)
      throw error
    }
    return { endpoint: found.ready, done }
  }

  #hasRoom(entry: Entry): boolean {
    const { ready } = entry
    if (ready?.isClosed) return false
    return Math.max(entry.taken, ready?.connectionCount ?? 0) < this.#maxConnections
  }

  #closeLater(entries: Entry[], entry: Entry): void {
    if (entry.timer !== undefined || entry.taken > 0) return
    const check = (): void => {
      entry.timer = undefined
      if (entry.taken > 0) return
      const { ready } = entry
      if (ready !== undefined && !ready.isClosed && ready.connectionCount > 0) return arm()
      remove(entries, entry)
      void ready?.close(new ClosedError('ERR_CLOSED', 'the last connection of the socket is gone'))
    }
    const arm = (): void => {
      entry.timer = this.#clock.setTimer(this.#clock.now() + LINGER_MS, check)
      entry.timer.unref()
    }
    arm()
  }
}

interface Entry {
  readonly opening: Promise<QuicEndpoint>
  ready: QuicEndpoint | undefined
  /** Connections that were dialled from it and have not ended. */
  taken: number
  timer: Timer | undefined
}

function familyOf(remote: Address): CarrierFamily {
  if (remote.kind !== 'ip') return 'other'
  return remote.host.includes(':') ? 'ipv6' : 'ipv4'
}

function remove<Item>(list: Item[], item: Item): void {
  const at = list.indexOf(item)
  if (at >= 0) list.splice(at, 1)
}

/** Closed connections drain meanwhile; and the next connection may come soon. */
const LINGER_MS = 300
