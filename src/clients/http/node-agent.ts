/**
 * An `agent` for `node:http` and `node:https` whose connections come from a transport of ours, so
 * that whatever is built on them (`http.request`, axios, got, cloud SDKs) runs over it: a Unix
 * socket, a tunnel, TLS with pins, memory in tests.
 *
 *     const agent = nodeAgent({ transport: socksTunnel({ proxy: ip('127.0.0.1', 9050) }) })
 *     http.get('http://a.example/', { agent })
 *
 * The protocol is Node's: its parser, its keep-alive, its errors. For ours see http-agent.ts.
 */
import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Address, ip } from '../../core/address.ts'
import { ClosedError, toError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import { toDuplex } from '../../transports/node-stream/to-duplex.ts'

export interface NodeAgentOptions extends Omit<AgentOptions, 'agent'> {
  /** Already secure where the URLs say https: Node adds no TLS of its own. */
  transport: Transport
  /** Where to connect, whatever the URL says. @default the URL's host and port */
  address?: Address
  /**
   * `https:` for `node:https`, which refuses an agent of another protocol.
   *
   * @default 'https:' over a secure transport, else 'http:'
   */
  protocol?: 'http:' | 'https:'
}

/** Keeps connections alive, as Node's own global agents do, unless `keepAlive: false`. */
export function nodeAgent(options: NodeAgentOptions): NodeAgent {
  return new NodeAgent(options)
}

export class NodeAgent extends Agent {
  /** What `node:http` compares with the URL. */
  readonly protocol: 'http:' | 'https:'
  readonly #transport: Transport
  readonly #address: Address | undefined
  #connects = new AbortController()

  constructor(options: NodeAgentOptions) {
    const { transport, address, protocol, ...rest } = options
    super({ keepAlive: true, ...rest })
    this.#transport = transport
    this.#address = address
    this.protocol = protocol ?? (transport.traits.secure ? 'https:' : 'http:')
    // `Agent` reads it off itself for URLs without a port.
    ;(this as { defaultPort?: number }).defaultPort = this.protocol === 'https:' ? 443 : 80
  }

  /**
   * Ends idle connections and those still being connected. Node does not tell an agent that a
   * request was destroyed: until then such a connect goes on to its end, or its transport's timeout.
   */
  override destroy(): void {
    this.#connects.abort(new ClosedError('ERR_CLOSED', 'the agent was destroyed'))
    this.#connects = new AbortController()
    super.destroy()
  }

  /** Node calls it for each connection it needs. */
  override createConnection(
    options: ClientRequestArgs & { servername?: string },
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const { host, port, servername } = options
    const address = this.#address ?? ip(host ?? 'localhost', Number(port))
    const connecting = this.#transport.connect(address, {
      signal: this.#connects.signal,
      ...(servername !== undefined && servername !== '' && { serverName: servername }),
    })
    connecting.then(
      (connection) => callback?.(null, toDuplex(connection)),
      (error: unknown) => callback?.(toError(error), undefined as never),
    )
    return undefined
  }
}
