/**
 * The client half of WebSocket in a browser: the platform's `WebSocket` as a transport of messages.
 *
 *     const connection = await browserWebSocket().connect({ kind: 'url', url: 'wss://example.com/' })
 *
 * What the platform cannot do is said, not hidden: it has no pings, it tells nothing of TLS, and it
 * reads on while nobody wants to hear. A paused connection therefore queues, up to a limit; over it
 * the connection is closed. Nothing of Node is imported here.
 */
import type { Address } from '../../core/address.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { checkInteger, TimeoutError, TransportError, UsageError } from '../../core/errors.ts'
import type {
  ConnectOptions,
  Listener,
  MessageTransport,
  TransportTraits,
} from '../../core/transport.ts'
import { browserClock } from '../../platform/browser-clock.ts'
import { BrowserConnection, type PlatformWebSocket } from './browser-connection.ts'

export interface BrowserWebSocketOptions {
  /** Offered; the server must choose one. @default none */
  subprotocols?: readonly string[]
  /**
   * Longest message sent and taken, in bytes. The platform has put it together by the time that it
   * can be refused.
   *
   * @default 67_108_864, as on servers
   */
  maxMessageBytes?: number
  /**
   * `send` returns false when more than this waits in the platform (`bufferedAmount`).
   *
   * @default 65_536
   */
  highWaterMarkBytes?: number
  /**
   * Most bytes that are queued while the connection is paused; one more closes it with 4009.
   *
   * @default 16_777_216
   */
  maxQueuedBytes?: number
  /**
   * The platform says nothing when what waited has left: it is asked every so many milliseconds
   * while something waits.
   *
   * @default 10
   */
  drainPollMs?: number
  /** @default the page's */
  clock?: Clock
  /** @default the platform's */
  WebSocket?: new (
    url: string,
    protocols?: string[],
  ) => PlatformWebSocket
}

export const browserWebSocketDefaults: Readonly<{
  maxMessageBytes: number
  highWaterMarkBytes: number
  maxQueuedBytes: number
  drainPollMs: number
}> = Object.freeze({
  maxMessageBytes: 67_108_864,
  highWaterMarkBytes: 65_536,
  maxQueuedBytes: 16_777_216,
  drainPollMs: 10,
})

export function browserWebSocket(options: BrowserWebSocketOptions = {}): BrowserWebSocketTransport {
  return new BrowserWebSocketTransport(options)
}

export class BrowserWebSocketTransport implements MessageTransport {
  readonly name = 'websocket'
  readonly traits: TransportTraits = Object.freeze({
    halfClose: false,
    secure: false,
    messageBoundaries: true,
  })
  readonly #options: BrowserWebSocketOptions
  readonly #limits: typeof browserWebSocketDefaults
  readonly #clock: Clock

  constructor(options: BrowserWebSocketOptions = {}) {
    const defaults = browserWebSocketDefaults
    const {
      maxMessageBytes = defaults.maxMessageBytes,
      highWaterMarkBytes = defaults.highWaterMarkBytes,
      maxQueuedBytes = defaults.maxQueuedBytes,
      drainPollMs = defaults.drainPollMs,
      clock = browserClock,
    } = options
    this.#options = options
    this.#clock = clock
    this.#limits = {
      maxMessageBytes: checkInteger('maxMessageBytes', maxMessageBytes, 1, 0x4000_0000),
      highWaterMarkBytes: checkInteger('highWaterMarkBytes', highWaterMarkBytes, 0, 0x4000_0000),
      maxQueuedBytes: checkInteger('maxQueuedBytes', maxQueuedBytes, 0, 0x4000_0000),
      drainPollMs: checkInteger('drainPollMs', drainPollMs, 1, 10_000),
    }
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<BrowserConnection> {
    const url = urlOf(address)
    const { subprotocols = [], WebSocket = platformWebSocket() } = this.#options
    const { signal, deadline } = options
    if (signal?.aborted) throw signal.reason
    return await new Promise((resolve, reject) => {
      let timer: Timer | undefined
      const socket = new WebSocket(url, [...subprotocols])
      socket.binaryType = 'arraybuffer'
      const settle = (): void => {
        timer?.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      const fail = (reason: unknown): void => {
        settle()
        socket.onopen = null
        socket.onerror = ignore
        socket.onclose = null
        socket.close()
        reject(reason)
      }
      const onAbort = (): void => fail(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      if (deadline !== undefined) {
        timer = this.#clock.setTimer(deadline, () => {
          const message = `no WebSocket to ${url} before the deadline of connecting`
          fail(new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' }))
        })
      }
      // Why it failed is kept from pages, so that they cannot look around in the network.
      const refused = (code: number): void => {
        const message = `no WebSocket to ${url}: closed with ${code}`
        fail(new TransportError('ERR_CONNECT', message, { sent: 'nothing', status: code }))
      }
      socket.onclose = ({ code }) => refused(code)
      // The close follows at once, but in Node 22, which tells of the error only.
      socket.onerror = () =>
        this.#clock.defer(() => {
          if (socket.onclose !== null) refused(1006)
        })
      socket.onopen = () => {
        if (subprotocols.length > 0 && !subprotocols.includes(socket.protocol)) {
          const message = 'the server chose no subprotocol of those offered'
          return fail(new TransportError('ERR_CONNECT', message, { sent: 'nothing' }))
        }
        settle()
        socket.onerror = ignore
        resolve(new BrowserConnection(socket, url, this.#limits, this.#clock))
      }
    })
  }

  /** @throws UsageError ERR_OPTION_UNSUPPORTED: a page cannot be connected to */
  listen(): Promise<Listener> {
    const message = 'a browser does not listen for WebSockets'
    return Promise.reject(new UsageError('ERR_OPTION_UNSUPPORTED', message))
  }
}

function ignore(): void {}

function urlOf(address: Address): string {
  if (address.kind === 'url' && /^wss?:/.test(address.url)) return address.url
  throw new UsageError('ERR_ADDRESS_INVALID', 'a page reaches ws:// and wss:// URLs only')
}

function platformWebSocket(): NonNullable<BrowserWebSocketOptions['WebSocket']> {
  const { WebSocket } = globalThis as unknown as BrowserWebSocketOptions
  if (WebSocket !== undefined) return WebSocket
  throw new UsageError('ERR_OPTION_UNSUPPORTED', 'this platform has no WebSocket')
}
