/** `HttpClientConnection` over a session whose exchanges are streams, played by hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Connection } from '../../core/connection.ts'
import { Call } from '../../core/context.ts'
import { ClosedError, TransportError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { portableText } from '../../core/portable-text.ts'
import type { SessionState } from '../../core/session.ts'
import type {
  ClientCommand,
  ClientEvent,
  HttpClientSession,
  ResponseEvent,
} from '../../protocols/http/exchange.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest } from '../../protocols/http/messages.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { memoryPair } from '../../transports/memory/memory-transport.ts'
import { HttpClientConnection } from './http-client-connection.ts'

test('responses come in any order, several heads in one batch, bodies beside each other', async () => {
  await using bed = Bed.make()
  const first = bed.call()
  const second = bed.call()
  assert.equal(bed.exchanger.available, 98)
  bed.play(
    head(3, { content: Buffer.from('two'), trailers: new HttpFields({ 'x-sum': '2' }) }),
    head(1),
    { type: 'data', exchange: 1, chunk: Buffer.from('one') },
  )
  const whole = await second
  assert.equal(await whole.body.text(), 'two')
  assert.equal(whole.body.trailers?.get('x-sum'), '2')
  assert.equal(whole.exchange, undefined, 'it came whole')
  const streamed = await first
  assert.equal(bed.exchanger.inFlight, 1)
  const text = streamed.body.text()
  bed.play(
    { type: 'data', exchange: 1, chunk: Buffer.from(' more') },
    { type: 'end', exchange: 1, trailers: new HttpFields({ 'x-sum': '1' }) },
  )
  assert.equal(await text, 'one more')
  assert.equal(streamed.body.trailers?.get('x-sum'), '1')
  assert.equal(bed.exchanger.inFlight, 0)
})

test('a call that is cancelled resets its stream; the others and the connection stay', async () => {
  await using bed = Bed.make()
  const controller = new AbortController()
  const cancelled = bed.call({}, new Call({ signal: controller.signal }))
  const other = bed.call()
  const reason = new Error('enough')
  controller.abort(reason)
  await assert.rejects(cancelled, (error) => error === reason)
  assert.deepEqual(bed.commands('reset'), [1])
  bed.play(head(3, { content: Buffer.from('fine') }))
  assert.equal(await (await other).body.text(), 'fine')
  assert.equal(bed.exchanger.state, 'ready')
})

test('an early response does not cut the request: its body goes on to its end', async () => {
  await using bed = Bed.make()
  const body = new HandBody()
  const reply = bed.call({ method: 'POST', body })
  bed.play(head(1, { status: 403, content: Buffer.from('no') }))
  const response = await reply
  assert.equal(response.status, 403)
  assert.notEqual(response.exchange, undefined, 'the request is still on its way')
  assert.equal(response.exchange?.over, false)
  assert.equal(bed.exchanger.inFlight, 1)
  body.sink?.write(Buffer.from('rest'))
  body.sink?.end()
  assert.deepEqual(bed.commands('reset'), [])
  assert.deepEqual(bed.commands('end'), [1])
  assert.equal(bed.exchanger.inFlight, 0)
  assert.equal(response.exchange?.over, true)
})

test('an early response whose stream is reset then ends the request, not the response', async () => {
  await using bed = Bed.make()
  const body = new HandBody()
  const reply = bed.call({ method: 'POST', body })
  bed.play(head(1, { content: Buffer.from('no need') }), {
    type: 'aborted',
    exchange: 1,
    error: new ClosedError('ERR_ABORTED', 'NO_ERROR'),
  })
  assert.equal(await (await reply).body.text(), 'no need')
  assert.ok(body.cancelled instanceof Error)
  assert.equal(bed.exchanger.inFlight, 0)
})

test('a body waits for its own window, and for the connection', async () => {
  await using bed = Bed.make()
  const body = new HandBody()
  void bed.call({ method: 'POST', body }).catch(() => {})
  bed.session.writable = false
  assert.equal(body.sink?.write(Buffer.from('a')), false)
  body.resumed = 0
  bed.session.writable = true
  bed.play({ type: 'writable', exchange: 1 })
  assert.equal(body.resumed, 1)
  assert.equal(body.sink?.write(Buffer.from('b')), true)
})

test('CONNECT answered with 2xx is a connection made of the exchange, half closed as it is', async () => {
  await using bed = Bed.make()
  const reply = bed.call({ method: 'CONNECT', protocol: 'websocket', target: '/chat' })
  bed.play(head(1), { type: 'data', exchange: 1, chunk: Buffer.from('early') })
  const { connection } = await reply
  assert.ok(connection !== undefined)
  const heard = listen(connection)
  await bed.turn()
  assert.equal(heard.text, 'early')
  assert.equal(connection.write(Buffer.from('hello')), true)
  bed.session.writable = false
  assert.equal(connection.write(Buffer.from('hi, ')), false)
  assert.equal(connection.writableLength, 4)
  bed.session.writable = true
  bed.play({ type: 'writable', exchange: 1 })
  assert.equal(heard.drains, 1)
  assert.equal(bed.session.sent, 'hellohi, ')
  connection.end()
  bed.play({ type: 'data', exchange: 1, chunk: Buffer.from(' late') })
  assert.equal(heard.text, 'early late')
  assert.equal(bed.exchanger.inFlight, 1)
  bed.play({ type: 'end', exchange: 1, trailers: undefined })
  await bed.turn()
  assert.deepEqual(heard.ends, ['end', undefined])
  assert.equal(bed.exchanger.inFlight, 0)
  assert.equal(bed.exchanger.state, 'ready')
})

test('a connection of an exchange: destroy resets the stream, a reset is heard as its close', async () => {
  await using bed = Bed.make()
  const one = bed.call({ method: 'CONNECT', target: 'a.example:443' })
  const two = bed.call({ method: 'CONNECT', target: 'b.example:443' })
  bed.play(head(1), head(3))
  const ours = (await one).connection as Connection
  const theirs = (await two).connection as Connection
  const heard = [listen(ours), listen(theirs)]
  await bed.turn()
  const reason = new Error('done with it')
  ours.destroy(reason)
  const error = new TransportError('ERR_RESET', 'reset')
  bed.play({ type: 'aborted', exchange: 3, error })
  await bed.turn()
  assert.deepEqual(bed.commands('reset'), [1])
  assert.deepEqual(heard[0]?.ends, [reason])
  assert.deepEqual(heard[1]?.ends, [error])
})

test('CONNECT that is refused answers like any request, and the stream is ended', async () => {
  await using bed = Bed.make()
  const reply = bed.call({ method: 'CONNECT', target: 'a.example:443' })
  bed.play(head(1, { status: 502, content: Buffer.from('no route') }))
  const response = await reply
  assert.equal(response.connection, undefined)
  assert.equal(await response.body.text(), 'no route')
  assert.deepEqual(bed.commands('end'), [1])
})

function head(exchange: number, init: Partial<ResponseEvent> = {}): ResponseEvent {
  return {
    type: 'response',
    exchange,
    status: 200,
    reason: '',
    fields: new HttpFields(),
    version: '2',
    hasBody: true,
    bodyLength: undefined,
    content: undefined,
    trailers: undefined,
    ...init,
  }
}

interface Heard {
  text: string
  drains: number
  ends: unknown[]
}

function listen(connection: Connection): Heard {
  const heard: Heard = { text: '', drains: 0, ends: [] }
  connection.open({
    onData: (chunk) => {
      heard.text += Buffer.from(chunk).toString()
    },
    onDrain: () => {
      heard.drains++
    },
    onEnd: () => heard.ends.push('end'),
    onClose: (reason) => heard.ends.push(reason),
  })
  return heard
}

class Bed implements AsyncDisposable {
  readonly session = new HandSession()
  readonly clock: ManualClock
  readonly exchanger: HttpClientConnection

  private constructor(connection: Connection, clock: ManualClock) {
    this.clock = clock
    this.exchanger = new HttpClientConnection(connection, this.session, { clock })
    this.exchanger.start()
  }

  static make(): Bed {
    const clock = new ManualClock()
    const [ours, theirs] = memoryPair({ clock })
    theirs.open({ onData() {}, onDrain() {}, onEnd: () => theirs.end(), onClose() {} })
    return new Bed(ours, clock)
  }

  call(
    init: ConstructorParameters<typeof HttpRequest>[0] = {},
    context = new Call(),
  ): ReturnType<HttpClientConnection['call']> {
    return this.exchanger.call(new HttpRequest({ authority: 'a.example', ...init }), context)
  }

  /** The session says these, as one input batch. */
  play(...events: ClientEvent[]): void {
    this.session.events.push(...events)
    this.session.onWake?.()
    this.clock.flush()
  }

  async turn(): Promise<void> {
    this.clock.flush()
    await Promise.resolve()
  }

  commands(type: ClientCommand['type']): number[] {
    const found = this.session.commands.filter((command) => command.type === type)
    return found.map((command) => ('exchange' in command ? command.exchange : 0))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.exchanger.destroy(new Error('the test is over'))
  }
}

/** Remembers commands, says what it is told to say. */
class HandSession implements HttpClientSession {
  readonly version = '2'
  readonly failure = undefined
  readonly wantsRead = true
  readonly keepAliveHintMs = undefined
  readonly commands: ClientCommand[] = []
  readonly events: ClientEvent[] = []
  readonly #out = new ByteWriter({ text: portableText })
  state: SessionState = 'open'
  onWake: (() => void) | undefined
  writable = true
  sent = ''
  nextExchange = 1
  pending = 0

  get capacity(): number {
    return 100 - this.pending
  }

  isWritable(): boolean {
    return this.writable
  }

  submit(command: ClientCommand): void {
    this.commands.push(command)
    if (command.type === 'request') {
      this.nextExchange += 2
      this.pending++
    } else if (command.type === 'data') this.sent += Buffer.from(command.chunk).toString()
    else if (command.type === 'reset') {
      this.events.push({ type: 'aborted', exchange: command.exchange, error: command.error })
    }
  }

  pollEvent(): ClientEvent | undefined {
    return this.events.shift()
  }

  pollTransmit(): ByteWriter {
    return this.#out
  }

  pollTimeout(): undefined {}
  receive(): void {}
  receiveEnd(): void {}
  receiveClose(): void {}
  handleTimeout(): void {}
  takeUnread(): Uint8Array {
    return new Uint8Array(0)
  }
}

/** A body written by hand. */
class HandBody implements Source<Uint8Array>, Flow {
  sink: Sink<Uint8Array> | undefined
  cancelled: Error | undefined
  resumed = 0

  open(sink: Sink<Uint8Array>): Flow {
    this.sink = sink
    return this
  }

  resume(): void {
    this.resumed++
  }

  cancel(reason?: Error): void {
    this.cancelled = reason
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    throw new Error('not in these tests')
  }
}
