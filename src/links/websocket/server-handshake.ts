/**
 * A server's handshake on a connection that was just accepted: one HTTP/1.1 request, answered by 101
 * and handed over, or refused with its reason and closed.
 */
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { TransportError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import type { RequestEvent, ServerCommand, ServerEvent } from '../../protocols/http1/messages.ts'
import type { Http1ServerOptions } from '../../protocols/http1/options.ts'
import { Http1ServerSession } from '../../protocols/http1/server-session.ts'
import {
  judgeUpgrade,
  type UpgradeAccepted,
  type UpgradePolicy,
  type UpgradeRefused,
} from '../../protocols/websocket/handshake.ts'
import type { ResolvedWebSocketOptions } from '../../protocols/websocket/options.ts'
import { Driver, type DriverOwner } from '../../runtime/driver.ts'

export interface ServerHandshakeOptions {
  readonly clock: Clock
  readonly host: Host
  readonly options: ResolvedWebSocketOptions
  readonly policy: UpgradePolicy
  readonly handshakeTimeoutMs: number
  readonly http1: Omit<Http1ServerOptions, 'host' | 'scheme' | 'date'> | undefined
  /** Path and query that are served here; undefined: any. */
  readonly target: string | undefined
}

export interface ServerHandshakeOwner {
  /** The carrier is unopened, with whatever came behind the request in front of its stream. */
  onUpgraded(carrier: Connection, accepted: UpgradeAccepted, target: string): void
  /** It came to nothing; the connection is closed or closing. */
  onFailed(error: Error): void
  /** Exactly once and last. */
  onOver(handshake: ServerHandshake): void
}

export class ServerHandshake implements DriverOwner<ServerEvent> {
  readonly #options: ServerHandshakeOptions
  readonly #owner: ServerHandshakeOwner
  readonly #driver: Driver<ServerCommand, ServerEvent>
  #accepted: UpgradeAccepted | undefined
  #target = '/'
  #failed = false
  #over = false

  constructor(
    connection: Connection,
    options: ServerHandshakeOptions,
    owner: ServerHandshakeOwner,
  ) {
    const { clock, host, handshakeTimeoutMs } = options
    this.#options = options
    this.#owner = owner
    const session = new Http1ServerSession(
      {
        headTimeoutMs: handshakeTimeoutMs,
        ...options.http1,
        host,
        maxPipelined: 1,
      },
      clock.now(),
    )
    this.#driver = new Driver(connection, session, this, { clock })
  }

  start(): void {
    this.#driver.start()
  }

  destroy(reason?: Error): void {
    this.#driver.destroy(reason)
  }

  onEvent(event: ServerEvent): void {
    if (event.type === 'request') this.#onRequest(event)
    else if (event.type === 'detached') this.#onDetached()
    else if (event.type === 'aborted') this.#fail(event.error)
  }

  onWritable(): void {}

  onClosed(reason: Error | undefined): void {
    this.#fail(reason ?? new TransportError('ERR_ACCEPT', 'closed before a WebSocket handshake'))
    this.#finish()
  }

  #onRequest(event: RequestEvent): void {
    const { host, options, policy, target } = this.#options
    if (target !== undefined && event.target !== target) {
      return this.#refuse(event, { status: 404, fields: NO_FIELDS, message: 'nothing is here' })
    }
    const judged = judgeUpgrade(host, options, policy, event)
    if (judged.status !== 101) return this.#refuse(event, judged)
    this.#accepted = judged
    this.#target = event.target
    this.#driver.submit({
      type: 'respond',
      exchange: event.exchange,
      status: 101,
      reason: undefined,
      fields: judged.fields,
      body: undefined,
      detach: true,
    })
  }

  #refuse(
    event: RequestEvent,
    refused: { status: UpgradeRefused['status'] | 404; fields: HttpFields; message: string },
  ): void {
    const { status, message } = refused
    const fields = new HttpFields(refused.fields)
    fields.set('content-type', 'text/plain; charset=utf-8')
    // 426 names what to upgrade to in `Connection` as well (RFC 9110 7.8).
    fields.set('connection', fields.has('connection') ? 'Upgrade, close' : 'close')
    this.#driver.submit({
      type: 'respond',
      exchange: event.exchange,
      status,
      reason: undefined,
      fields,
      body: `${message}\n`,
    })
    this.#fail(new TransportError('ERR_ACCEPT', `a handshake was refused: ${message}`, { status }))
  }

  #onDetached(): void {
    const carrier = this.#driver.detach()
    this.#finish()
    this.#owner.onUpgraded(carrier, this.#accepted as UpgradeAccepted, this.#target)
  }

  #fail(error: Error): void {
    if (this.#failed) return
    this.#failed = true
    this.#owner.onFailed(error)
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#owner.onOver(this)
  }
}

const NO_FIELDS: HttpFields = HttpFields.fromTrusted([])
