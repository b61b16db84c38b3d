/**
 * The datagrams of one chaotic proxy: a socket where clients send to, and one towards the upstream
 * for each client, so that answers find back. A client that is silent is forgotten.
 */

import { type Address, formatAddress } from '../../core/address.ts'
import type { ToxicLink, ToxicSink } from '../../core/chaos/toxic-link.ts'
import type { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import type { DatagramSocket, DatagramTransport } from '../../core/datagram-socket.ts'

export interface UdpFlowsOptions {
  readonly clock: Clock
  readonly transport: DatagramTransport
  readonly toxics: ToxicSet
  readonly upstream: Address
  readonly maxFlows: number
  readonly idleTimeoutMs: number
  onError(error: unknown): void
}

interface Flow {
  readonly client: Address
  readonly socket: DatagramSocket
  readonly up: ToxicLink
  readonly down: ToxicLink
  lastAt: number
}

export class UdpFlows {
  readonly #socket: DatagramSocket
  readonly #options: UdpFlowsOptions
  readonly #flows = new Map<string, Flow | 'connecting'>()
  #sweep: Timer | undefined
  #closed = false
  bytesUp = 0
  bytesDown = 0
  dropped = 0

  constructor(socket: DatagramSocket, options: UdpFlowsOptions) {
    this.#socket = socket
    this.#options = options
    socket.open({
      onDatagram: (payload, from) => void this.#receive(payload, from),
      onError() {}, // a client that is gone
      onClose() {},
    })
    this.#arm()
  }

  get address(): Address {
    return this.#socket.address
  }

  get count(): number {
    return this.#flows.size
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#sweep?.cancel()
    const flows = [...this.#flows.values()].filter((flow) => flow !== 'connecting')
    this.#flows.clear()
    await Promise.all([this.#socket.close(), ...flows.map((flow) => this.#end(flow))])
  }

  #receive(payload: Uint8Array, from: Address): void {
    const key = formatAddress(from)
    const flow = this.#flows.get(key)
    if (flow === undefined) {
      if (this.#flows.size >= this.#options.maxFlows) this.dropped += 1
      else void this.#begin(key, from, payload.slice())
    } else if (flow === 'connecting') this.dropped += 1
    else this.#forward(flow, payload.slice())
  }

  #forward(flow: Flow, payload: Uint8Array): void {
    flow.lastAt = this.#options.clock.now()
    this.bytesUp += payload.length
    flow.up.push(payload, undefined)
  }

  async #begin(key: string, client: Address, first: Uint8Array): Promise<void> {
    const { transport, toxics, upstream, clock } = this.#options
    this.#flows.set(key, 'connecting')
    let socket: DatagramSocket
    try {
      socket = await transport.connect(upstream)
    } catch (error) {
      this.#flows.delete(key)
      return this.#options.onError(error)
    }
    if (this.#closed) return void socket.close()
    const seed = toxics.nextSeed()
    const up = toxics.createLink(
      'upstream',
      seed,
      sendTo((bytes) => socket.send(bytes)),
    )
    const down = toxics.createLink(
      'downstream',
      seed,
      sendTo((bytes) => this.#socket.send(bytes, client)),
    )
    const flow: Flow = { client, socket, up, down, lastAt: clock.now() }
    this.#flows.set(key, flow)
    socket.open({
      onDatagram: (payload) => {
        flow.lastAt = clock.now()
        this.bytesDown += payload.length
        down.push(payload.slice(), undefined)
      },
      onError: (error) => this.#options.onError(error),
      onClose() {},
    })
    this.#forward(flow, first)
  }

  async #end(flow: Flow): Promise<void> {
    this.#options.toxics.forget(flow.up)
    this.#options.toxics.forget(flow.down)
    await flow.socket.close()
  }

  #arm(): void {
    const { clock, idleTimeoutMs } = this.#options
    this.#sweep = clock.setTimer(clock.now() + idleTimeoutMs, () => {
      for (const [key, flow] of this.#flows) {
        if (flow === 'connecting' || flow.lastAt + idleTimeoutMs > clock.now()) continue
        this.#flows.delete(key)
        void this.#end(flow)
      }
      this.#arm()
    })
    this.#sweep.unref()
  }
}

function sendTo(send: (bytes: Uint8Array) => boolean): ToxicSink<undefined> {
  return {
    take(bytes) {
      send(bytes)
      return true // a datagram that finds no room is lost
    },
    end() {},
    cut() {},
    room() {},
  }
}
