/**
 * What closed loops of load run on: descriptors of the kernel where they can be had, `node:net` and
 * `node:tls` elsewhere.
 */
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { DescriptorLoop, descriptorsWork } from './descriptors.ts'

export interface LoadSocket {
  /** The bytes must not change until they have left. */
  write(bytes: Buffer): void
}

export interface LoadSocketEvents {
  /** Bytes are borrowed until the call returns. */
  onChunk(chunk: Buffer): void
  onFailure(error: Error): void
}

export interface LoadSockets extends Disposable {
  /** Connects to loopback. */
  open(port: number, events: LoadSocketEvents): Promise<LoadSocket>
  /** Serves the sockets for so long, or until `isOver`. */
  serve(milliseconds: number, isOver?: () => boolean): Promise<void>
}

export function openLoadSockets(tls: boolean): LoadSockets {
  return tls || !descriptorsWork() ? new NodeSockets(tls) : new DescriptorSockets()
}

/**
 * A socket of Node.
 *
 * @param onConnect - once, when it can be written
 */
export function openNodeSocket(
  port: number,
  tls: boolean,
  onConnect: () => void,
  onChunk: (chunk: Buffer) => void,
): ReturnType<typeof connect> {
  if (tls) {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, onConnect)
    socket.on('data', onChunk)
    return socket
  }
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  const onread = {
    buffer,
    callback(length: number): boolean {
      onChunk(buffer.subarray(0, length))
      return true
    },
  }
  return connect({ port, host: '127.0.0.1', noDelay: true, onread }, onConnect)
}

class NodeSockets implements LoadSockets {
  readonly #tls: boolean
  readonly #open: ReturnType<typeof connect>[] = []

  constructor(tls: boolean) {
    this.#tls = tls
  }

  open(port: number, events: LoadSocketEvents): Promise<LoadSocket> {
    return new Promise((resolve, reject) => {
      const socket = openNodeSocket(
        port,
        this.#tls,
        () => resolve(socket),
        (chunk) => events.onChunk(chunk),
      )
      this.#open.push(socket)
      const fail = (error: Error): void => {
        reject(error)
        events.onFailure(error)
      }
      socket.on('error', fail)
      socket.on('close', () => fail(new Error('the server closed a connection')))
    })
  }

  async serve(milliseconds: number, isOver: () => boolean = () => false): Promise<void> {
    const until = performance.now() + milliseconds
    while (!isOver() && performance.now() < until) {
      await wait(Math.min(POLL_MS, Math.max(0, until - performance.now())))
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#open) socket.destroy()
  }
}

class DescriptorSockets implements LoadSockets {
  readonly #loop = new DescriptorLoop()

  async open(port: number, events: LoadSocketEvents): Promise<LoadSocket> {
    return this.#loop.connect(port, {
      onChunk: (chunk) => events.onChunk(chunk),
      onEnd: (reason) => events.onFailure(new Error(reason)),
    })
  }

  /** The thread does nothing else meanwhile. */
  async serve(milliseconds: number, isOver: () => boolean = () => false): Promise<void> {
    const until = performance.now() + milliseconds
    while (!isOver() && performance.now() < until) this.#loop.turn(POLL_MS)
  }

  [Symbol.dispose](): void {
    this.#loop[Symbol.dispose]()
  }
}

const READ_BYTES = 65_536
const POLL_MS = 10
