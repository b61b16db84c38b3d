/**
 * Tools of the transport tests: a handler that writes down what it is told, and a pair of
 * connections over any transport.
 */
import assert from 'node:assert/strict'
import type { Address } from '../../src/core/address.ts'
import type { Connection, ConnectionHandler } from '../../src/core/connection.ts'
import type { HeddleError } from '../../src/core/errors.ts'
import type { Listener, ListenOptions, Transport } from '../../src/core/transport.ts'

export class Recorder implements ConnectionHandler {
  /** `data`, `drain`, `end`, `close`, in order; runs of `data` count once. */
  readonly events: string[] = []
  readonly closed: Promise<Error | undefined>
  readonly ended: Promise<void>
  onChunk: ((chunk: Uint8Array) => void) | undefined
  onDrained: (() => void) | undefined
  #chunks: Uint8Array[] = []
  #length = 0
  #wanted = 0
  #resolveLength: (() => void) | undefined
  #resolveClosed!: (reason: Error | undefined) => void
  #resolveEnded!: () => void

  constructor(onChunk?: (chunk: Uint8Array) => void) {
    this.onChunk = onChunk
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
  }

  get length(): number {
    return this.#length
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }

  /** Resolves when so many bytes have arrived in all. */
  received(count: number): Promise<void> {
    if (this.#length >= count) return Promise.resolve()
    this.#wanted = count
    return new Promise((resolve) => {
      this.#resolveLength = resolve
    })
  }

  onData(chunk: Uint8Array): void {
    assert.ok(chunk.length > 0, 'an empty chunk was delivered')
    this.#event('data')
    this.#length += chunk.length
    if (this.onChunk !== undefined) this.onChunk(chunk)
    else this.#chunks.push(chunk.slice())
    if (this.#length >= this.#wanted) this.#resolveLength?.()
  }

  onDrain(): void {
    this.#event('drain')
    this.onDrained?.()
  }

  onEnd(): void {
    this.#event('end')
    this.#resolveEnded()
  }

  onClose(reason: Error | undefined): void {
    this.#event('close')
    this.#resolveClosed(reason)
  }

  #event(name: string): void {
    assert.ok(!this.events.includes('close'), `${name} after close`)
    if (name === 'data') assert.ok(!this.events.includes('end'), 'data after end')
    if (name !== 'data' || this.events.at(-1) !== 'data') this.events.push(name)
  }
}

export interface Pair extends AsyncDisposable {
  readonly listener: Listener
  readonly client: Connection
  readonly server: Connection
}

/** Two connected, unopened ends. Disposing destroys both and closes the listener. */
export async function connectPair(transport: Transport, address: Address): Promise<Pair> {
  let accept!: (connection: Connection) => void
  const accepted = new Promise<Connection>((resolve) => {
    accept = resolve
  })
  const listener = await transport.listen(address, { onConnection: accept })
  const [client, server] = await Promise.all([transport.connect(listener.address), accepted])
  return {
    listener,
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.destroy()
      server.destroy()
      await listener.close()
    },
  }
}

/** Sends `total` bytes out of one region that is overwritten as soon as the contract allows it. */
export function sendReusingRegion(
  connection: Connection,
  handler: Recorder,
  regionBytes: number,
  total: number,
): { readonly waits: () => number } {
  const region = new Uint8Array(regionBytes)
  let sent = 0
  let waits = 0
  const send = () => {
    while (sent < total) {
      const count = Math.min(regionBytes, total - sent)
      for (let index = 0; index < count; index++) region[index] = patternByte(sent + index)
      sent += count
      if (count < 3) connection.write(region.subarray(0, count))
      else {
        // In three parts, so that the vectored way is tried as well.
        const parts = [region.subarray(0, 1), region.subarray(1, count >> 1)]
        connection.writeAll([...parts, region.subarray(count >> 1, count)])
      }
      if (connection.writableLength > 0) {
        waits += 1
        return
      }
      region.fill(0xee)
    }
    if (sent === total) {
      sent += 1
      connection.end()
    }
  }
  handler.onDrained = () => {
    region.fill(0xee)
    send()
  }
  send()
  return { waits: () => waits }
}

/** A pattern without a short period, so that a shifted or repeated block is noticed. */
export function patternByte(position: number): number {
  return (position ^ (position >>> 7) ^ (position >>> 15)) & 0xff
}

/** Checks chunks against the pattern; counts. */
export function patternChecker(): {
  check(chunk: Uint8Array): void
  readonly length: () => number
} {
  let position = 0
  return {
    check(chunk) {
      for (let index = 0; index < chunk.length; index++) {
        if (chunk[index] !== patternByte(position + index)) {
          assert.fail(`byte ${position + index} is ${chunk[index]}`)
        }
      }
      position += chunk.length
    },
    length: () => position,
  }
}

/** A listener in a test: keeps what it is given, and closes everything when disposed. */
export class Acceptor<L extends Listener = Listener> implements AsyncDisposable {
  readonly connections: Connection[] = []
  readonly errors: HeddleError[] = []
  listener!: L
  #taken = 0
  #takenErrors = 0
  #onChange: (() => void)[] = []

  static async listen<L extends Listener>(
    transport: { listen(address: Address, options: ListenOptions): Promise<L> },
    address: Address,
    onConnection?: (connection: Connection) => void,
  ): Promise<Acceptor<L>> {
    const acceptor = new Acceptor<L>()
    acceptor.listener = await transport.listen(address, {
      onConnection(connection) {
        acceptor.connections.push(connection)
        onConnection?.(connection)
        acceptor.#changed()
      },
      onError(error) {
        acceptor.errors.push(error as HeddleError)
        acceptor.#changed()
      },
    })
    return acceptor
  }

  get address(): Address {
    return this.listener.address
  }

  get port(): number {
    return (this.address as { port: number }).port
  }

  async next(): Promise<Connection> {
    const index = this.#taken++
    while (this.connections[index] === undefined) await this.#change()
    return this.connections[index]
  }

  async nextError(): Promise<HeddleError> {
    const index = this.#takenErrors++
    while (this.errors[index] === undefined) await this.#change()
    return this.errors[index]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.listener.close()
    for (const connection of this.connections) connection.destroy()
    await closing
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#onChange.push(resolve))
  }

  #changed(): void {
    for (const tell of this.#onChange.splice(0)) tell()
  }
}
