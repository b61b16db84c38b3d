/**
 * The kit must be able to fail: each mutant breaks one rule of core/session.ts and must be reported.
 *
 * The toy protocol: a length byte (at most 20) and that many bytes, both ways; replies in the order
 * of the requests; the server reads on only while fewer than 4 requests wait, and closes after a
 * second without one.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteQueue } from '../core/byte-queue.ts'
import { ByteWriter } from '../core/byte-writer.ts'
import {
  type HeddleError,
  ProtocolError,
  TimeoutError,
  TransportError,
  UsageError,
} from '../core/errors.ts'
import type { Session, SessionState } from '../core/session.ts'
import { CollectingHarness } from './harness.ts'
import { type SessionSubject, sessionConformance } from './session-conformance.ts'

type Mutation =
  | 'none'
  | 'accepts a frame that is too long'
  | 'throws for a peer’s input'
  | 'keeps a view of the chunk'
  | 'loses state between chunks'
  | 'forgets exchanges when the connection is lost'
  | 'tells twice that an exchange ended'
  | 'leaves its timer'
  | 'never fires its timer'
  | 'fires its timer early'
  | 'wants everything'
  | 'takes illegal commands'
  | 'changes its failure'
  | 'goes back to open'
  | 'writes over what it gave away'
  | 'gives an event after undefined'
  | 'loses output when there is little room'
  | 'hangs on an ended connection'

type ToyCommand = { readonly type: 'send'; readonly id: number; readonly body: Uint8Array }
type ToyEvent =
  | { readonly type: 'message'; readonly id: number; readonly body: Uint8Array }
  | { readonly type: 'aborted'; readonly id: number }

class ToySession implements Session<ToyCommand, ToyEvent> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  readonly #isServer: boolean
  readonly #mutation: Mutation
  readonly #queue = new ByteQueue()
  readonly #out = new ByteWriter({ regionBytes: 64 })
  readonly #waiting: number[] = []
  readonly #aborted: number[] = []
  #seen = 0
  #sent = 0
  #ended = false
  #idleSince: number
  #polls = 0

  constructor(isServer: boolean, mutation: Mutation, now: number) {
    this.#isServer = isServer
    this.#mutation = mutation
    this.#idleSince = now
  }

  get wantsRead(): boolean {
    if (this.#mutation === 'wants everything') return this.state !== 'closed'
    return this.state === 'open' && (!this.#isServer || this.#waiting.length < 4)
  }

  receive(chunk: Uint8Array, now: number): void {
    if (this.state === 'closed') {
      if (this.#mutation === 'goes back to open') this.state = 'open'
      if (this.#mutation === 'changes its failure') {
        this.failure = new ProtocolError('ERR_PROTOCOL', 'again')
      }
      return
    }
    if (this.#mutation === 'loses state between chunks') this.#queue.clear()
    this.#idleSince = now
    this.#queue.push(chunk)
  }

  receiveEnd(): void {
    if (this.state === 'closed') return
    this.#ended = true
  }

  receiveClose(reason: Error | undefined): void {
    if (this.state === 'closed') return
    this.#close(new TransportError('ERR_DISCONNECTED', 'lost', { cause: reason }))
  }

  pollEvent(): ToyEvent | undefined {
    const id = this.#aborted.shift()
    if (id !== undefined) return { type: 'aborted', id }
    this.#polls += 1
    if (this.#mutation === 'gives an event after undefined' && this.#polls === 2) {
      return { type: 'aborted', id: 99 }
    }
    if (this.state === 'closed') return undefined
    const body = this.#next()
    if (body !== undefined) return this.#event(body)
    if (this.failure !== undefined) return this.pollEvent() // what the failure aborted
    if (this.#ended && this.state === 'open') {
      if (this.#mutation === 'hangs on an ended connection') return undefined
      if (this.#queue.length > 0) {
        this.#close(new ProtocolError('ERR_TRUNCATED', 'cut'))
        return this.pollEvent()
      }
      if (this.#waiting.length === 0) this.#close(undefined)
      else if (!this.#isServer) {
        this.#close(new TransportError('ERR_DISCONNECTED', 'no reply'))
        return this.pollEvent()
      }
    }
    return undefined
  }

  submit({ id, body }: ToyCommand): void {
    if (this.#mutation !== 'takes illegal commands') {
      const legal = this.#isServer ? id === this.#waiting[0] : id === this.#sent + 1
      if (this.state !== 'open' || !legal) throw new UsageError('ERR_STATE', `no ${id} now`)
    }
    this.#sent = id
    if (this.#isServer) this.#waiting.shift()
    else this.#waiting.push(id)
    this.#out.uint8(body.length)
    this.#out.copy(body)
  }

  pollTransmit(maxBytes: number): ByteWriter {
    if (this.#mutation === 'writes over what it gave away') this.#out.bytes[0] = 0
    if (this.#mutation === 'loses output when there is little room' && maxBytes === 1) {
      this.#out.take()
    }
    return this.#out
  }

  pollTimeout(): number | undefined {
    if (!this.#isServer) return undefined
    if (this.state === 'closed' && this.#mutation !== 'leaves its timer') return undefined
    return this.#waiting.length > 0 ? undefined : this.#idleSince + 1_000
  }

  handleTimeout(now: number): void {
    const at = this.pollTimeout()
    if (this.state === 'closed' || at === undefined) return
    if (this.#mutation === 'never fires its timer') {
      this.#idleSince = now
      return
    }
    if (now < at && this.#mutation !== 'fires its timer early') return
    this.#close(new TimeoutError('ERR_IDLE', 'idle'))
  }

  takeUnread(): Uint8Array {
    throw new UsageError('ERR_STATE', 'never detached')
  }

  #next(): Uint8Array | undefined {
    if (this.#queue.length > 0 && this.wantsRead) {
      const length = this.#queue.byteAt(0)
      if (length > 20 && this.#mutation !== 'accepts a frame that is too long') {
        if (this.#mutation === 'throws for a peer’s input') throw new TypeError('length')
        this.#close(new ProtocolError('ERR_FRAME_TOO_LARGE', `${length} over 20`))
        return undefined
      }
      if (this.#queue.length > length) {
        this.#queue.skip(1)
        return this.#queue.read(length)
      }
    }
    if (this.#mutation !== 'keeps a view of the chunk') this.#queue.copyBorrowed()
    return undefined
  }

  #event(body: Uint8Array): ToyEvent | undefined {
    if (this.#isServer) {
      this.#seen += 1
      this.#waiting.push(this.#seen)
      return { type: 'message', id: this.#seen, body }
    }
    const id = this.#waiting.shift()
    if (id === undefined) {
      this.#close(new ProtocolError('ERR_PROTOCOL', 'a reply that nobody asked for'))
      return this.pollEvent()
    }
    return { type: 'message', id, body }
  }

  #close(failure: HeddleError | undefined): void {
    this.state = 'closed'
    this.failure ??= failure
    if (this.#mutation === 'forgets exchanges when the connection is lost') return
    this.#aborted.push(...this.#waiting.splice(0))
    if (this.#mutation === 'tells twice that an exchange ended') {
      this.#aborted.push(...this.#aborted)
    }
  }
}

type ToySubject = SessionSubject<ToyCommand, ToyEvent, ToyCommand, ToyEvent>

function subject(mutation: Mutation): ToySubject {
  const body = (text: string): Uint8Array => new TextEncoder().encode(text)
  return {
    client: {
      create: (clock) => new ToySession(false, mutation, clock.now()),
      begins: (command) => String(command.id),
      describe: (event) => ({
        exchange: String(event.id),
        text: event.type === 'message' ? `reply ${String.fromCharCode(...event.body)}` : 'aborted',
        last: true,
      }),
    },
    server: {
      create: (clock) => new ToySession(true, mutation, clock.now()),
      // The server's exchange ends with its own command; only an abort is an event.
      describe: (event) => ({
        exchange: String(event.id),
        text: event.type === 'message' ? `asked ${String.fromCharCode(...event.body)}` : 'aborted',
        last: event.type === 'aborted',
      }),
    },
    scenarios: {
      'three pipelined calls': {
        start({ client }) {
          for (const id of [1, 2, 3]) client.submit({ type: 'send', id, body: body(`call ${id}`) })
        },
        onServerEvent(event, { server }) {
          if (event.type !== 'message' || server.session.state !== 'open') return
          server.submit({ type: 'send', id: event.id, body: event.body.slice().reverse() })
        },
        expect: {
          client: ['1: reply 1 llac', '2: reply 2 llac', '3: reply 3 llac'],
          server: ['1: asked call 1', '2: asked call 2', '3: asked call 3'],
        },
      },
    },
    violations: {
      'a frame of 21': {
        to: 'server',
        bytes: Uint8Array.of(21, 0),
        code: 'ERR_FRAME_TOO_LARGE',
        answer: (bytes) => bytes.length === 0,
      },
      'a reply that nobody asked for': {
        to: 'client',
        bytes: Uint8Array.of(0),
        code: 'ERR_PROTOCOL',
      },
    },
    illegal: {
      'reply to nothing': {
        side: 'server',
        submit: ({ server }) => server.submit({ type: 'send', id: 1, body: body('?') }),
      },
    },
    timers: {
      'an idle server': { side: 'server', afterMs: 1_000, closes: true, code: 'ERR_IDLE' },
    },
    floods: {
      'requests that nobody answers': { to: 'server', bytes: Uint8Array.of(1, 7), maxBytes: 8 },
    },
  }
}

function failures(mutation: Mutation, only?: RegExp): Promise<readonly string[]> {
  const harness = new CollectingHarness()
  sessionConformance('toy', subject(mutation), harness)
  return harness.failures(only)
}

test('sessionConformance passes a correct session', async () => {
  assert.deepEqual(await failures('none'), [])
})

const CAUGHT: Readonly<Record<Exclude<Mutation, 'none'>, RegExp>> = {
  'accepts a frame that is too long': /refuses a frame of 21/,
  'throws for a peer’s input': /every input in every state/,
  'keeps a view of the chunk': /alike in chunks of 1/,
  'loses state between chunks': /alike in chunks of 3/,
  'forgets exchanges when the connection is lost': /survives a lost connection/,
  'tells twice that an exchange ended': /survives a lost connection/,
  'leaves its timer': /leaves nothing/,
  'never fires its timer': /fires the timer of an idle server/,
  'fires its timer early': /fires the timer of an idle server/,
  'wants everything': /stops reading requests that nobody answers/,
  'takes illegal commands': /refuses the command reply to nothing/,
  'changes its failure': /refuses a frame of 21/,
  'goes back to open': /every input in every state/,
  'writes over what it gave away': /goes as expected/,
  'gives an event after undefined': /goes as expected/,
  'loses output when there is little room': /little by little/,
  'hangs on an ended connection': /survives the end of input/,
}

for (const [mutation, caught] of Object.entries(CAUGHT)) {
  test(`sessionConformance reports a session that ${mutation}`, async () => {
    const failed = await failures(mutation as Mutation, caught)
    assert.ok(failed.length > 0, `not found by ${caught}`)
  })
}
