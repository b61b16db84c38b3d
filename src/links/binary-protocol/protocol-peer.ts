/**
 * One side of a connection that speaks a defined protocol: events of both sides, and the calls, which
 * are the runtime's request and reply.
 *
 *     | 0 | envelope of a call: request, reply, error, cancel (runtime/patterns) |
 *     | 1 | id u16 | body of an event … |
 *
 * The body of a request stands in the envelope as `id u16` and what the format made, that of a reply
 * as the latter alone.
 */
import type { ConnectionFacts } from '../../core/connection.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { ProtocolError, RemoteError, toError, UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import type { RequestReply } from '../../runtime/patterns/request-reply.ts'
import type {
  BodyOf,
  CallDefinition,
  CallName,
  Definition,
  EventDefinition,
  EventName,
  MessageDefinitions,
  ReplyOf,
  RequestOf,
} from './protocol-definition.ts'

export type EventListener<Body> = (body: Body) => void

export class ProtocolPeer<M extends MessageDefinitions> implements MessageHandler {
  /** What both sides agreed on. */
  readonly version: number
  /** Resolves when the connection is closed, with why if it did not end well. */
  readonly closed: Promise<Error | undefined>
  /** What the calls run over. Whoever asks or answers opens it. */
  readonly calls: CallChannel
  readonly #connection: MessageConnection
  readonly #definition: Definition<M>
  readonly #maxDepth: number
  readonly #listeners = new Map<number, EventListener<unknown>>()
  #resolveClosed!: (reason: Error | undefined) => void

  constructor(
    connection: MessageConnection,
    definition: Definition<M>,
    version: number,
    maxDepth: number,
  ) {
    this.version = version
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.calls = new CallChannel(connection)
    this.#connection = connection
    this.#definition = definition
    this.#maxDepth = maxDepth
  }

  get facts(): ConnectionFacts {
    return this.#connection.facts
  }

  /** Once, when whoever uses the calls has opened them. */
  start(): void {
    this.#connection.open(this)
  }

  /**
   * Says something that has no answer.
   * @returns false when more than the high-water mark waits: say less for a while
   * @throws ProtocolError ERR_VERSION for what the agreed version does not have
   */
  emit<Name extends EventName<M>>(name: Name, body: BodyOf<M[Name]>): boolean {
    const definition = this.definitionOf(name, 'event')
    this.checkVersion(name, definition)
    const payload = this.#definition.payload.encode(
      body,
      (definition as EventDefinition<unknown>).body,
    )
    const message = new Uint8Array(3 + payload.length)
    message.set([EVENT, definition.id >>> 8, definition.id])
    message.set(payload, 3)
    return this.#connection.send(message)
  }

  /** What is done with an event of the peer; one listener for each. Without one it is dropped. */
  on<Name extends EventName<M>>(name: Name, listener: EventListener<BodyOf<M[Name]>>): void {
    this.#listeners.set(this.definitionOf(name, 'event').id, listener as EventListener<unknown>)
  }

  destroy(reason?: Error): void {
    this.#connection.destroy(reason)
  }

  onMessage(message: Uint8Array): void {
    const [kind] = message
    try {
      if (kind === CALL) this.calls.handler?.onMessage(message.subarray(1))
      else if (kind === EVENT) this.#onEvent(message)
      else throw new ProtocolError('ERR_PROTOCOL', `a message of kind ${kind ?? 'nothing'}`)
    } catch (error) {
      this.destroy(toError(error))
    }
  }

  onDrain(): void {
    this.calls.handler?.onDrain()
  }

  onEnd(): void {
    this.calls.handler?.onEnd()
  }

  onClose(reason: Error | undefined): void {
    this.calls.handler?.onClose(reason)
    this.#resolveClosed(reason)
  }

  // For those who ask and answer.

  definitionOf(name: string, kind: 'call' | 'event'): M[string] {
    const definition = this.#definition.messages[name]
    if (definition?.kind === kind) return definition as M[string]
    throw new UsageError('ERR_ARGUMENT', `${this.#definition.name} has no ${kind} ${name}`)
  }

  checkVersion(name: string, { since = 0 }: { readonly since?: number }): void {
    if (this.version >= since) return
    const message = `${name} came with version ${since}, version ${this.version} was agreed`
    throw new ProtocolError('ERR_VERSION', message, { sent: 'nothing', retryable: 'no' })
  }

  encodeCall(id: number, value: unknown, schema: unknown): Uint8Array {
    const payload = this.#definition.payload.encode(value, schema)
    const body = new Uint8Array(2 + payload.length)
    body.set([id >>> 8, id])
    body.set(payload, 2)
    return body
  }

  encodeReply(value: unknown, schema: unknown): Uint8Array {
    return this.#definition.payload.encode(value, schema)
  }

  decodeBody(bytes: Uint8Array, schema: unknown): unknown {
    return this.#definition.payload.decode(bytes, schema, this.#maxDepth)
  }

  /** The call that a body is about. @throws RemoteError for one that is not known here */
  callOf(body: Uint8Array): {
    readonly name: string
    readonly definition: CallDefinition<unknown, unknown>
  } {
    if (body.length < 2) throw new ProtocolError('ERR_MALFORMED', 'a call without a number')
    const id = ((body[0] as number) << 8) | (body[1] as number)
    const name = this.#definition.names.get(id)
    const definition = name === undefined ? undefined : this.#definition.messages[name]
    if (name === undefined || definition?.kind !== 'call') {
      throw new RemoteError('ERR_REMOTE', `no call ${id} here`, { status: 'unknown-call' })
    }
    return { name, definition }
  }

  #onEvent(message: Uint8Array): void {
    if (message.length < 3) throw new ProtocolError('ERR_MALFORMED', 'an event without a number')
    const id = ((message[1] as number) << 8) | (message[2] as number)
    const name = this.#definition.names.get(id)
    const definition = name === undefined ? undefined : this.#definition.messages[name]
    if (definition?.kind !== 'event') throw new ProtocolError('ERR_PROTOCOL', `no event ${id} here`)
    const body = this.decodeBody(message.subarray(3), definition.body)
    const checked = definition.check === undefined ? body : definition.check(body)
    this.#listeners.get(id)?.(checked)
  }
}

/** The side that asks. */
export class ProtocolClient<M extends MessageDefinitions> implements AsyncDisposable {
  readonly #peer: ProtocolPeer<M>
  readonly #requests: RequestReply

  constructor(peer: ProtocolPeer<M>, requests: RequestReply) {
    this.#peer = peer
    this.#requests = requests
  }

  get version(): number {
    return this.#peer.version
  }
  get facts(): ConnectionFacts {
    return this.#peer.facts
  }
  /** Resolves when the connection is closed, with why if it did not end well. */
  get closed(): Promise<Error | undefined> {
    return this.#peer.closed
  }
  /** Calls that wait for their reply. */
  get inFlight(): number {
    return this.#requests.inFlight
  }

  /** Asks, and waits for the answer until the deadline of the context or `timeoutMs`. */
  async call<Name extends CallName<M>>(
    name: Name,
    request: RequestOf<M[Name]>,
    context: CallContext = new Call(),
  ): Promise<ReplyOf<M[Name]>> {
    const definition = this.#peer.definitionOf(name, 'call') as unknown as CallDefinition<
      unknown,
      unknown
    >
    this.#peer.checkVersion(name, definition)
    const body = this.#peer.encodeCall(definition.id, request, definition.request)
    const answer = await this.#requests.call(body, context)
    const reply = this.#peer.decodeBody(answer, definition.reply)
    const { checkReply } = definition
    return (checkReply === undefined ? reply : checkReply(reply)) as ReplyOf<M[Name]>
  }

  emit<Name extends EventName<M>>(name: Name, body: BodyOf<M[Name]>): boolean {
    return this.#peer.emit(name, body)
  }

  on<Name extends EventName<M>>(name: Name, listener: EventListener<BodyOf<M[Name]>>): void {
    this.#peer.on(name, listener)
  }

  /** Asks no more; resolves when what is under way was answered and the connection is closed. */
  async close(): Promise<void> {
    this.#requests.close()
    await this.#peer.closed
  }

  destroy(reason?: Error): void {
    this.#peer.destroy(reason)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The part of a connection that carries calls, as a message connection of its own. */
export class CallChannel implements MessageConnection {
  handler: MessageHandler | undefined
  readonly #connection: MessageConnection

  constructor(connection: MessageConnection) {
    this.#connection = connection
  }
  get id(): number {
    return this.#connection.id
  }
  get facts(): ConnectionFacts {
    return this.#connection.facts
  }
  get maxMessageBytes(): number {
    return this.#connection.maxMessageBytes - 1
  }
  get writableLength(): number {
    return this.#connection.writableLength
  }
  get ownsMessages(): boolean {
    return this.#connection.ownsMessages
  }
  open(handler: MessageHandler): void {
    if (this.handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'has a handler')
    this.handler = handler
  }
  send(message: Uint8Array): boolean {
    const whole = new Uint8Array(1 + message.length)
    whole.set(message, 1)
    return this.#connection.send(whole)
  }
  pause(): void {
    this.#connection.pause()
  }
  resume(): void {
    this.#connection.resume()
  }
  end(): void {
    this.#connection.end()
  }
  destroy(reason?: Error): void {
    this.#connection.destroy(reason)
  }
}

const CALL = 0
const EVENT = 1
