/** A transport without I/O: what is delivered and what is written is the benchmark's business. */
import { memory } from '../../src/core/address.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../src/core/connection.ts'
import type { Listener, ListenOptions, Transport } from '../../src/core/transport.ts'

const FACTS: ConnectionFacts = {
  transport: 'null',
  local: memory('server'),
  remote: memory('client'),
  role: 'accepting',
  tls: undefined,
  mtu: undefined,
  receiveBufferBytes: undefined,
  sendBufferBytes: undefined,
  capabilities: 0,
  roundTripMs: () => undefined,
}

/** Gives its handler the bytes it is told to, and counts what is written. */
export class NullConnection implements Connection {
  readonly id = 1
  readonly facts = FACTS
  readonly writableLength = 0
  handler: ConnectionHandler | undefined
  writes = 0
  bytes = 0
  /** Called for each write. */
  onWrite: (() => void) | undefined
  #unread: Uint8Array | undefined

  open(handler: ConnectionHandler): void {
    this.handler = handler
    const unread = this.#unread
    this.#unread = undefined
    if (unread !== undefined) handler.onData(unread)
  }
  write(chunk: Uint8Array): boolean {
    this.writes++
    this.bytes += chunk.length
    this.onWrite?.()
    return true
  }
  writeAll(chunks: readonly Uint8Array[]): boolean {
    this.writes++
    for (const chunk of chunks) this.bytes += chunk.length
    this.onWrite?.()
    return true
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(reason?: Error): void {
    this.handler?.onClose(reason)
  }
  leaseChunk(): ChunkLease {
    return { release: () => {} }
  }
  /** Whoever opens it next gets the bytes first. */
  detach(unread?: Uint8Array): void {
    this.handler = undefined
    if (unread !== undefined && unread.length > 0) this.#unread = unread.slice()
  }
  ref(): void {}
  unref(): void {}
}

export interface NullTransport extends Transport {
  /** What `listen` was given, by port or name. */
  readonly accept: ((connection: Connection) => void) | undefined
}

export function nullTransport(connect: () => NullConnection): NullTransport {
  let accept: ((connection: Connection) => void) | undefined
  return {
    name: 'null',
    traits: { halfClose: true, secure: false, messageBoundaries: false },
    get accept() {
      return accept
    },
    connect: async () => connect(),
    async listen(address, { onConnection }: ListenOptions): Promise<Listener> {
      accept = onConnection
      const noop = (): void => {}
      const close = async (): Promise<void> => {}
      const calls = { pause: noop, resume: noop, ref: noop, unref: noop, close }
      return { address, connectionCount: 1, ...calls, [Symbol.asyncDispose]: close }
    },
  }
}
