/**
 * The kit of message transports over WebSockets that are streams of an HTTP/2 connection (RFC 8441), at
 * both ends: `webSocket({ over: client })`, and a server whose service is `webSocketUpgrade`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, formatAddress, memory as memoryAddress } from '../../core/address.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type { Listener, ListenOptions, MessageTransport } from '../../core/transport.ts'
import { webSocket } from '../../links/websocket/websocket.ts'
import { webSocketUpgrade } from '../../links/websocket/websocket-upgrade.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpResponse } from '../../protocols/http/messages.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { messageConformance } from '../../testing/message-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { httpClient } from './http-client.ts'

const traits = { halfClose: false, secure: false, messageBoundaries: true }
const COUNTS = 'the listener of this test is no transport: it neither counts nor refuses'
const EXCEPT: readonly string[] = [
  'accepts nothing while paused, and those who waited afterwards',
  'closes a newcomer that admitAddress refuses, and nobody hears of it',
  'counts accepted connections in and out',
  'destroys what is left when the signal of close aborts',
  'gives its address back',
  'waits for accepted connections before it is closed',
]

messageConformance(
  'WebSocket over HTTP/2',
  {
    traits,
    bulkBytes: 100_000,
    except: Object.fromEntries(EXCEPT.map((name) => [name, COUNTS])),
    async create() {
      const carrier = memory({ clock: systemClock, network: new MemoryNetwork(), strict: true })
      const listeners = new Map<string, PathListener>()
      const limits = { maxMessageBytes: 200_000 }
      const server = httpServer((request) => {
        const listener = listeners.get(request.path)
        if (listener === undefined) return new HttpResponse({ status: 404 })
        return webSocketUpgrade((connection) => listener.accept(connection), limits)(request)
      })
      await server.listen(carrier, memoryAddress('server'))
      const client = httpClient('http://a.example', {
        version: '2',
        transport: carrier,
        endpoints: [{ address: memoryAddress('server') }],
        retry: false,
      })
      const over = webSocket({ ...limits, over: client })
      const urlOf = (address: Address): Address => ({
        kind: 'url',
        url: `ws://a.example${pathOf(address)}`,
      })
      const transport: MessageTransport = {
        name: over.name,
        traits,
        connect: (address, options) => over.connect(urlOf(address), options),
        async listen(address, options) {
          const path = pathOf(address)
          const listener = new PathListener(address, options, () => listeners.delete(path))
          listeners.set(path, listener)
          return listener
        },
      }
      return {
        transport,
        address: memoryAddress('one'),
        nobody: memoryAddress('nobody'),
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

function pathOf(address: Address): string {
  return `/${encodeURIComponent(formatAddress(address))}`
}

/** What a server does for one path: no more than these properties need. */
class PathListener implements Listener {
  readonly address: Address
  connectionCount = 0
  readonly #options: ListenOptions<MessageConnection>
  readonly #onClose: () => void

  constructor(address: Address, options: ListenOptions<MessageConnection>, onClose: () => void) {
    this.address = address
    this.#options = options
    this.#onClose = onClose
  }

  accept(connection: MessageConnection): void {
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
