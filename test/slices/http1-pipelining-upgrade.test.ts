/**
 * Slice: HTTP/1.1 sessions of both roles, driven over the memory transport.
 *
 *     client session ─ driver ─ memory connection ─ driver ─ server session
 *
 * What it proves: requests in a pipeline are answered in their order whatever order their answers
 * come in; a connection is handed over in the middle of its bytes, on both sides, and what was read
 * too early is the first thing that the next protocol gets.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as memoryAddress } from '../../src/core/address.ts'
import type { Connection, ConnectionHandler } from '../../src/core/connection.ts'
import { systemClock as clock } from '../../src/platform/system-clock.ts'
import { HttpFields } from '../../src/protocols/http/fields.ts'
import { Http1ClientSession } from '../../src/protocols/http1/client-session.ts'
import type {
  ClientCommand,
  ClientEvent,
  RequestEvent,
  ServerCommand,
  ServerEvent,
} from '../../src/protocols/http1/messages.ts'
import { Http1ServerSession } from '../../src/protocols/http1/server-session.ts'
import { Driver, type DriverOwner } from '../../src/runtime/driver.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'

const NONE = new HttpFields()
const UPGRADE = new HttpFields({ connection: 'upgrade', upgrade: 'echo' })

/** Collects what a connection gives after the hand-over, until `expected` has come. */
class RawReader implements ConnectionHandler {
  text = ''
  readonly done: Promise<string>
  readonly #expected: number
  #resolve: (text: string) => void = () => {}
  constructor(expected: number) {
    this.#expected = expected
    this.done = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }
  onData(chunk: Uint8Array): void {
    this.text += Buffer.from(chunk).toString('latin1')
    if (this.text.length >= this.#expected) this.#resolve(this.text)
  }
  onDrain(): void {}
  onEnd(): void {}
  onClose(): void {}
}

/** Answers the requests of one batch in reverse; an upgrade is answered with an echo. */
class ReversingServer implements DriverOwner<ServerEvent> {
  readonly driver: Driver<ServerCommand, ServerEvent>
  readonly #batch: number
  #waiting: RequestEvent[] = []

  constructor(connection: Connection, batch: number) {
    this.#batch = batch
    this.driver = new Driver(connection, new Http1ServerSession(), this, { clock })
    this.driver.start()
  }

  onEvent(event: ServerEvent): void {
    if (event.type === 'detached') return this.#echo(this.driver.detach())
    if (event.type !== 'request') return
    this.#waiting.push(event)
    if (event.upgrade === undefined && this.#waiting.length < this.#batch) return
    for (const request of this.#waiting.reverse()) this.#answer(request)
    this.#waiting = []
  }

  onWritable(): void {}
  onClosed(): void {}

  #answer(request: RequestEvent): void {
    const upgrade = request.upgrade !== undefined
    this.driver.submit({
      type: 'respond',
      exchange: request.exchange,
      status: upgrade ? 101 : 200,
      reason: undefined,
      fields: upgrade ? UPGRADE : NONE,
      body: upgrade ? undefined : `answer to ${request.target}`,
      detach: upgrade,
    })
  }

  #echo(connection: Connection): void {
    // Leaves with or right behind the head of the 101: the client reads too much.
    connection.write(Buffer.from('hello from the other protocol;'))
    connection.open({
      onData: (chunk) => void connection.write(Buffer.from(chunk)),
      onDrain() {},
      onEnd: () => connection.end(),
      onClose() {},
    })
  }
}

/** Sends requests as fast as the session takes them, notes the answers. */
class PipeliningClient implements DriverOwner<ClientEvent> {
  readonly answers: string[] = []
  readonly driver: Driver<ClientCommand, ClientEvent>
  readonly session: Http1ClientSession
  readonly finished: Promise<Connection>
  mostInFlight = 0
  #targets: string[]
  #finish: (connection: Connection) => void = () => {}

  constructor(connection: Connection, targets: readonly string[]) {
    this.#targets = [...targets]
    this.finished = new Promise((resolve) => {
      this.#finish = resolve
    })
    this.session = new Http1ClientSession({ maxPipelined: 4 })
    this.driver = new Driver(connection, this.session, this, { clock })
    this.driver.start()
    this.#send()
  }

  onEvent(event: ClientEvent): void {
    switch (event.type) {
      case 'response':
        this.answers.push('')
        if (event.hasBody) {
          this.driver.submit({ type: 'demand', exchange: event.exchange, wanted: true })
        }
        return
      case 'data':
        this.answers.push(this.answers.pop() + Buffer.from(event.chunk).toString())
        return
      case 'capacity':
        return this.#send()
      case 'detached':
        return this.#finish(this.driver.detach())
      case 'aborted':
        assert.fail(event.error)
    }
  }

  onWritable(): void {}
  onClosed(): void {}

  #send(): void {
    while (this.#targets.length > 0 && this.session.capacity > 0) {
      const target = this.#targets.shift() as string
      this.driver.submit({
        type: 'request',
        exchange: this.session.nextExchange,
        method: 'GET',
        target,
        authority: 'slice',
        fields: target === '/upgrade' ? UPGRADE : NONE,
        body: undefined,
        streams: false,
        bodyLength: undefined,
      })
      this.mostInFlight = Math.max(this.mostInFlight, this.session.pending)
    }
  }
}

for (const maxChunkBytes of [1, 3, 65_536]) {
  test(`HTTP/1.1 pipelines, then upgrades, ${maxChunkBytes} bytes a chunk`, async () => {
    const transport = memory({ clock, network: new MemoryNetwork(), maxChunkBytes, strict: true })
    await using listener = await transport.listen(memoryAddress('slice'), {
      onConnection: (connection) => void new ReversingServer(connection, 4),
    })
    const connection = await transport.connect(listener.address)
    const targets = Array.from({ length: 8 }, (_, at) => `/${at}`)
    const client = new PipeliningClient(connection, [...targets, '/upgrade'])
    const raw = await client.finished
    assert.deepEqual(client.answers, [...targets.map((target) => `answer to ${target}`), ''])
    assert.equal(client.mostInFlight, 4)

    const greeting = 'hello from the other protocol;'
    const reader = new RawReader(`${greeting}ping`.length)
    raw.open(reader)
    raw.write(Buffer.from('ping'))
    assert.equal(await reader.done, `${greeting}ping`)
    raw.end()
  })
}
