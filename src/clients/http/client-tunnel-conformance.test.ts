/**
 * The transport kit over connections that are made of exchanges, at both ends: `clientTunnel` of a
 * client, and a server whose service takes every CONNECT over.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, formatAddress, ip, memory as memoryAddress } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { Listener, ListenOptions, Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpResponse } from '../../protocols/http/messages.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { clientTunnel } from './client-tunnel.ts'
import { httpClient } from './http-client.ts'

const COUNTS = 'the listener of this test is no transport: it neither counts nor refuses'

transportConformance(
  'CONNECT over HTTP/2',
  {
    traits: { halfClose: true, secure: false, messageBoundaries: false },
    bulkBytes: 65_536,
    except: {
      'accepts everybody who waited while it was paused': COUNTS,
      'accepts nothing while paused, and those who waited afterwards': COUNTS,
      'asks admitAddress about the address that the connection has': COUNTS,
      'closes a newcomer that admitAddress refuses, and nobody hears of it': COUNTS,
      'closes twice at once: both wait for the last connection': COUNTS,
      'connects anew from within onClose': COUNTS,
      'connects as ever after an attempt that was given up': COUNTS,
      'counts 20 connections in, and out as each of them closes': COUNTS,
      'counts a connection out that nobody ever opened': COUNTS,
      'counts accepted connections in and out': COUNTS,
      'destroys everything when closed with an aborted signal, also after a plain close': COUNTS,
      'destroys what is left when the signal of close aborts': COUNTS,
      'gives both sides their addresses and the name of the transport': COUNTS,
      'gives its address back': COUNTS,
      'is connected where it was told to connect': COUNTS,
      'refuses an address in use: TransportError ERR_ADDRESS_IN_USE': COUNTS,
      'waits for accepted connections before it is closed': COUNTS,
    },
    async create() {
      const carrier = memory({ clock: systemClock, network: new MemoryNetwork(), strict: true })
      const listeners = new Map<string, TunnelListener>()
      const server = httpServer(({ target }) => {
        const listener = listeners.get(target)
        if (listener === undefined) return new HttpResponse({ status: 502 })
        return new HttpResponse({ upgrade: (connection) => listener.accept(connection) })
      })
      await server.listen(carrier, memoryAddress('proxy'))
      const client = httpClient('http://proxy.example', {
        version: '2',
        transport: carrier,
        endpoints: [{ address: memoryAddress('proxy') }],
        retry: false,
      })
      const transport: Transport = {
        ...clientTunnel(client),
        name: 'tunnel',
        traits: { halfClose: true, secure: false, messageBoundaries: false },
        connect: (address, options) => clientTunnel(client).connect(address, options),
        async listen(address, options) {
          const listener = new TunnelListener(address, options, () => listeners.delete(key))
          const key = formatAddress(listener.address)
          listeners.set(key, listener)
          return listener
        },
      }
      return {
        transport,
        address: ip('10.0.0.1', 80),
        nobody: ip('10.0.0.2', 80),
        clock: systemClock,
        turn: () => new Promise((resolve) => setImmediate(resolve)),
        async dispose() {
          await client.close({ signal: AbortSignal.abort(new Error('over')) })
          await server.close({ signal: AbortSignal.abort(new Error('over')) })
        },
      }
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)

/** What a proxy does for one address: no more than these properties need. */
class TunnelListener implements Listener {
  readonly address: Address
  connectionCount = 0
  readonly #options: ListenOptions
  readonly #onClose: () => void

  constructor(address: Address, options: ListenOptions, onClose: () => void) {
    this.address = address
    this.#options = options
    this.#onClose = onClose
  }

  accept(connection: Connection): void {
    this.#options.onConnection(connection)
  }

  async close(): Promise<void> {
    this.#onClose()
  }

  pause(): void {}
  resume(): void {}
  ref(): void {}
  unref(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
