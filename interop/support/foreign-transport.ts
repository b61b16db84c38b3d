/**
 * A `Transport` made of what another library connects and listens with, by way of Node streams, so
 * that the transport kit can be run against it.
 */
import { Duplex } from 'node:stream'
import type { Address, IpAddress } from '../../src/core/address.ts'
import { ip } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import { ClosedError, TransportError, toError } from '../../src/core/errors.ts'
import type { Listener, ListenOptions, Transport } from '../../src/core/transport.ts'
import { fromDuplex } from '../../src/transports/node-stream/from-duplex.ts'

export interface ForeignTransport {
  readonly name: string
  readonly halfClose: boolean
  connect(to: IpAddress, signal: AbortSignal | undefined): Promise<Duplex>
  /** Gives the port, and what stops accepting. */
  listen(accept: (stream: Duplex) => void): Promise<{ port: number; stop(): Promise<void> }>
}

export function foreignTransport(foreign: ForeignTransport): Transport {
  const { name, halfClose } = foreign
  return {
    name,
    traits: { halfClose, secure: false, messageBoundaries: false },
    async connect(address, options = {}) {
      options.signal?.throwIfAborted()
      const remote = address as IpAddress
      try {
        const stream = await foreign.connect(remote, options.signal)
        return fromDuplex(stream, { role: 'initiating', transport: name, remote })
      } catch (error) {
        options.signal?.throwIfAborted()
        throw new TransportError('ERR_CONNECT', toError(error).message, { cause: error })
      }
    },
    async listen(_address: Address, options: ListenOptions): Promise<Listener> {
      const accepted = new Set<Duplex>()
      const { port, stop } = await foreign.listen((stream) => {
        accepted.add(stream)
        stream.once('close', () => accepted.delete(stream))
        options.onConnection(accept(stream, name))
      })
      const close: Listener['close'] = async ({ signal } = {}) => {
        const stopped = stop()
        const destroy = () => {
          for (const stream of accepted)
            stream.destroy(new ClosedError('ERR_CLOSED', 'the listener closed'))
        }
        if (signal?.aborted) destroy()
        signal?.addEventListener('abort', destroy)
        const gone = [...accepted].map((s) => new Promise((done) => s.once('close', done)))
        await Promise.all([stopped, ...gone])
      }
      return {
        address: ip('127.0.0.1', port),
        get connectionCount() {
          return accepted.size
        },
        pause() {},
        resume() {},
        close,
        ref() {},
        unref() {},
        [Symbol.asyncDispose]: () => close(),
      }
    },
  }
}

function accept(stream: Duplex, transport: string): Connection {
  return fromDuplex(stream, { role: 'accepting', transport })
}

/** What js-libp2p calls a message stream, as far as a Node stream needs it. */
export interface MessageStreamLike {
  send(data: Uint8Array): boolean
  close(): Promise<void>
  abort(error: Error): void
  pause(): void
  resume(): void
  addEventListener(type: string, listener: (event: Event) => void): void
}

/** A message stream of js-libp2p as a Node stream. */
export class MessageStreamDuplex extends Duplex {
  readonly #stream: MessageStreamLike
  #written: ((error?: Error | null) => void) | undefined
  #closed = false

  constructor(stream: MessageStreamLike) {
    super({ allowHalfOpen: false }) // `close` ends both directions
    this.#stream = stream
    stream.pause()
    stream.addEventListener('message', (event) => {
      const { data } = event as Event & { data: Uint8Array | { subarray(): Uint8Array } }
      if (!this.push(Buffer.from(data.subarray()))) stream.pause()
    })
    stream.addEventListener('drain', () => this.#settle())
    stream.addEventListener('remoteCloseWrite', () => this.push(null))
    stream.addEventListener('close', (event) => {
      this.#closed = true
      const { error } = event as Event & { error?: Error }
      this.#settle(error)
      if (error === undefined) this.push(null)
      else this.destroy(error)
    })
  }

  override _read(): void {
    this.#stream.resume()
  }

  override _write(
    chunk: Uint8Array,
    _: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    try {
      if (this.#stream.send(chunk)) done()
      else this.#written = done
    } catch (error) {
      done(toError(error))
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.close().then(() => done(), done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#closed) this.#stream.abort(error ?? new Error('destroyed'))
    done(error)
  }

  #settle(error?: Error): void {
    const written = this.#written
    this.#written = undefined
    written?.(error)
  }
}
