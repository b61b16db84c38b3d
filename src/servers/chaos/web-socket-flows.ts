/**
 * The WebSockets of one chaotic proxy: each client's handshake is answered when the upstream has
 * answered the same one, so that path, fields and subprotocols pass. Toxics work on whole messages.
 */
import type { UrlAddress } from '../../core/address.ts'
import type { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { UsageError } from '../../core/errors.ts'
import { redactUrl } from '../../core/secret.ts'
import { passGate } from '../../links/chaos/chaos-gate.ts'
import { ChaosMessageConnection } from '../../links/chaos/chaos-message-connection.ts'
import { webSocket } from '../../links/websocket/websocket.ts'
import { listeningUrl, webSocketTarget } from '../../links/websocket/websocket-address.ts'
import type { WebSocketConnection } from '../../links/websocket/websocket-connection.ts'
import { webSocketUpgrade } from '../../links/websocket/websocket-upgrade.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { isWebSocketConnect, isWebSocketUpgrade } from '../../protocols/websocket/over-http2.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { type HttpServer, httpServer } from '../http/http-server.ts'
import { MessageRelay } from './message-relay.ts'

export interface WebSocketFlowsOptions {
  readonly clock: Clock
  readonly toxics: ToxicSet
  /** `ws://` or `wss://`. Its path is asked for where it has one, else the client's. */
  readonly upstream: string
  onError(error: unknown): void
}

type Upstream = ChaosMessageConnection<WebSocketConnection>

export class WebSocketFlows {
  readonly #options: WebSocketFlowsOptions
  readonly #server: HttpServer
  readonly #relays = new Set<MessageRelay>()
  /** Connected, while the client's handshake is not over. */
  readonly #waiting = new Map<Upstream, Timer>()
  #address = ''
  #closed = false
  #bytesUp = 0
  #bytesDown = 0

  private constructor(options: WebSocketFlowsOptions) {
    this.#options = options
    this.#server = httpServer((request, { signal }) => this.#answer(request, signal), {
      name: 'chaos',
    })
  }

  /** @param at `ws://host:port` */
  static async listen(at: string, options: WebSocketFlowsOptions): Promise<WebSocketFlows> {
    const { carrier, address } = webSocketTarget({ kind: 'url', url: at }, '/')
    if (carrier !== 'plain') {
      throw new UsageError('ERR_ADDRESS_INVALID', `listen is '${at}', must be ws://host:port`)
    }
    const flows = new WebSocketFlows(options)
    const listener = await flows.#server.listen(tcp(), address)
    flows.#address = listeningUrl(at, listener.address)
    return flows
  }

  /** As it was asked for, with the port that is really listened on. */
  get address(): string {
    return this.#address
  }
  get count(): number {
    return this.#relays.size
  }
  get bytesUp(): number {
    return this.#sum('bytesFromA', this.#bytesUp)
  }
  get bytesDown(): number {
    return this.#sum('bytesFromB', this.#bytesDown)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const relay of this.#relays) relay.destroy()
    for (const [upstream, timer] of this.#waiting) {
      timer.cancel()
      upstream.destroy()
    }
    this.#waiting.clear()
    await this.#server.close({ signal: AbortSignal.abort() })
  }

  async #answer(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const isHandshake = isWebSocketUpgrade(request) || isWebSocketConnect(request)
    if (!isHandshake) return webSocketUpgrade(() => {})(request)
    let upstream: Upstream
    try {
      upstream = await this.#connect(request, signal)
    } catch (error) {
      this.#options.onError(error)
      return HttpResponse.text('chaos: the upstream cannot be reached\n', { status: 502 })
    }
    const { subprotocol } = upstream.carried
    const upgrade = webSocketUpgrade((client) => this.#join(client, upstream), {
      subprotocols: subprotocol === undefined ? [] : [subprotocol],
      allowOrigin: () => true, // the upstream was told, and has let it in
    })
    const response = upgrade(request)
    if (response.upgrade === undefined) upstream.destroy()
    else this.#await(upstream)
    return response
  }

  async #connect(request: HttpRequest, signal: AbortSignal): Promise<Upstream> {
    const { clock, toxics, upstream } = this.#options
    const seed = toxics.nextSeed()
    await passGate(toxics, clock, seed, () => this.#closed, { signal })
    const transport = webSocket({
      clock,
      subprotocols: subprotocolsOf(request.fields),
      fields: passedFields(request.fields),
    })
    const carried = await transport.connect(upstreamAddress(upstream, request.target), { signal })
    const settings = { toxics, clock, halfClose: transport.traits.halfClose }
    const connection = new ChaosMessageConnection(carried, settings, seed, () => {})
    if (this.#closed) connection.destroy()
    return connection
  }

  /** A client that is gone before it has heard the answer never comes. */
  #await(upstream: Upstream): void {
    const { clock } = this.#options
    const timer = clock.setTimer(clock.now() + HANDSHAKE_MS, () => {
      if (this.#waiting.delete(upstream)) upstream.destroy()
    })
    timer.unref()
    this.#waiting.set(upstream, timer)
  }

  #join(client: WebSocketConnection, upstream: Upstream): void {
    const timer = this.#waiting.get(upstream)
    if (timer === undefined) {
      upstream.destroy()
      return client.destroy()
    }
    timer.cancel()
    this.#waiting.delete(upstream)
    const relay: MessageRelay = new MessageRelay(
      { connection: client, peerClose: () => client.peerClose },
      { connection: upstream, peerClose: () => upstream.carried.peerClose },
      () => {
        this.#relays.delete(relay)
        this.#bytesUp += relay.bytesFromA
        this.#bytesDown += relay.bytesFromB
      },
    )
    this.#relays.add(relay)
  }

  #sum(what: 'bytesFromA' | 'bytesFromB', before: number): number {
    let sum = before
    for (const relay of this.#relays) sum += relay[what]
    return sum
  }
}

/** @throws UsageError ERR_ADDRESS_INVALID unless it is ws:// or wss:// */
export function checkUpstreamUrl(upstream: string): void {
  if (webSocketTarget({ kind: 'url', url: upstream }, '/').carrier === 'unix') {
    const said = `upstream is '${redactUrl(upstream)}', must be ws:// or wss://`
    throw new UsageError('ERR_ADDRESS_INVALID', said)
  }
}

function upstreamAddress(upstream: string, target: string): UrlAddress {
  const url = new URL(upstream)
  if (url.pathname !== '/' || url.search !== '') return { kind: 'url', url: upstream }
  return { kind: 'url', url: `${upstream.replace(/\/$/, '')}${target}` }
}

function subprotocolsOf(fields: HttpFields): string[] {
  const offered = fields.get('sec-websocket-protocol')?.split(',') ?? []
  return [...new Set(offered.map((name) => name.trim()))]
}

/** Everything but what concerns one connection, or this handshake. */
function passedFields(fields: HttpFields): HttpFields {
  const passed = new HttpFields()
  for (const [name, value] of fields) {
    const key = name.toLowerCase()
    const isOwn = HOP_FIELDS.has(key) || key.startsWith('sec-websocket-')
    if (!isOwn && !fields.hasToken('connection', key)) passed.append(name, value)
  }
  return passed
}

const HOP_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** As long as a handshake may take. */
const HANDSHAKE_MS = 10_000
