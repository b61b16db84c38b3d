/**
 * Runs a session to the point where it hands its connection over, and returns that connection,
 * unopened, with whatever came behind the last answer in front of its stream.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { TimeoutError, TransportError } from '../../core/errors.ts'
import type { Session } from '../../core/session.ts'
import type { ConnectOptions } from '../../core/transport.ts'
import { Driver, type DriverOwner } from '../../runtime/driver.ts'

export interface HandshakeOptions<Command, Event> extends ConnectOptions {
  clock: Clock
  /** What the session says first. */
  command: Command
  /** What an event means: `detached`: done; an error: refused; undefined: go on. */
  judge(event: Event): 'detached' | Error | undefined
  /** Who does not answer, in errors. @default 'the proxy' */
  peer?: string
  /** Of the error when the peer goes away. @default 'ERR_PROXY' */
  code?: 'ERR_PROXY' | 'ERR_CONNECT'
}

/**
 * The connection is destroyed unless it is returned. An aborted signal rejects with its own reason,
 * a passed deadline with TimeoutError ERR_CONNECT_TIMEOUT.
 */
export function handshake<Command, Event>(
  connection: Connection,
  session: Session<Command, Event>,
  options: HandshakeOptions<Command, Event>,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    new Handshake(connection, session, options, resolve, reject).start()
  })
}

class Handshake<Command, Event> implements DriverOwner<Event> {
  readonly #options: HandshakeOptions<Command, Event>
  readonly #driver: Driver<Command, Event>
  readonly #resolve: (connection: Connection) => void
  readonly #reject: (reason: unknown) => void
  readonly #onAbort: () => void
  #timer: Timer | undefined
  #over = false

  constructor(
    connection: Connection,
    session: Session<Command, Event>,
    options: HandshakeOptions<Command, Event>,
    resolve: (connection: Connection) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#driver = new Driver(connection, session, this, { clock: options.clock })
    this.#onAbort = () => this.#fail(options.signal?.reason)
  }

  start(): void {
    const { signal, deadline, clock, command } = this.#options
    if (signal?.aborted) return this.#fail(signal.reason)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (deadline !== undefined) {
      this.#timer = clock.setTimer(deadline, () => {
        const { peer = THE_PROXY } = this.#options
        const message = `${peer} did not answer before the deadline of connecting`
        this.#fail(new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' }))
      })
    }
    try {
      this.#driver.start()
      this.#driver.submit(command)
    } catch (error) {
      this.#fail(error)
    }
  }

  onEvent(event: Event): void {
    if (this.#over) return
    const outcome = this.#options.judge(event)
    if (outcome === undefined) return
    if (outcome !== 'detached') return this.#fail(outcome)
    this.#finish()
    this.#resolve(this.#driver.detach())
  }

  onWritable(): void {}

  onClosed(reason: Error | undefined): void {
    const { peer = THE_PROXY, code = 'ERR_PROXY' } = this.#options
    const message = `${peer} closed the connection during the handshake`
    this.#fail(reason ?? new TransportError(code, message, { sent: 'nothing' }))
  }

  #fail(reason: unknown): void {
    if (this.#over) return
    this.#finish()
    this.#reject(reason)
    this.#driver.destroy(reason instanceof Error ? reason : undefined)
  }

  #finish(): void {
    this.#over = true
    this.#timer?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
  }
}

const THE_PROXY = 'the proxy'
