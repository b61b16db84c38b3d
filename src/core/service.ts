/**
 * "Your server as a function": one family for every kind of exchange.
 *
 * | exchange            | type |
 * |---------------------|------|
 * | one reply           | `Service<Req, Res>` |
 * | a stream of replies | `Service<Req, Source<Res>>` |
 * | streamed requests   | `Service<Source<Req>, Res>` |
 * | both                | `Service<Source<Req>, Source<Res>>` |
 * | pushes              | `PushService<Push>`: a source per subscriber |
 * | a pinned connection | `PinnableService.pin`: a lease whose resource is a service again |
 *
 * Streams are positions in the type, not other kinds of service, so that one `Middleware` wraps all.
 * A reply may be given synchronously: then no promise is made on the whole way.
 */
import type { Address } from './address.ts'
import type { CallContext } from './context.ts'
import type { Source } from './flow.ts'
import type { Lease } from './pool.ts'
import type { Listener, Transport } from './transport.ts'

export type MaybePromise<Value> = Value | Promise<Value>

export type Service<Req, Res> = (request: Req, context: CallContext) => MaybePromise<Res>

export type Middleware<Req, Res> = (next: Service<Req, Res>) => Service<Req, Res>

/** Messages the peer sends unasked: Redis pub/sub, PostgreSQL LISTEN, HTTP/2 push, notices. */
export interface PushService<Push> {
  /** One source per call. Bounded: a subscriber that lags is ended with OverloadError ERR_SHED. */
  subscribe(context?: CallContext): Source<Push>
}

/** Calls that must share one connection: a transaction, WATCH/MULTI, a prepared session. */
export interface PinnableService<Req, Res> {
  readonly call: Service<Req, Res>
  /** The lease's resource is the service on one connection; `release` gives the connection back. */
  pin(context: CallContext): Promise<Lease<Service<Req, Res>>>
}

/** A service that makes a context of its own when it is called without one. */
export type ClientCall<Req, Res> = (request: Req, context?: CallContext) => MaybePromise<Res>

export interface Client<Req, Res> extends AsyncDisposable {
  readonly status: ClientStatus
  readonly call: ClientCall<Req, Res>
  /** Waits for calls in flight, then closes. New calls get ClosedError ERR_CLOSED. */
  close(options?: { signal?: AbortSignal }): Promise<void>
}

/** `busy`: a call made now would wait. */
export type ClientStatus = 'open' | 'busy' | 'closed'

export interface Server extends AsyncDisposable {
  listen(transport: Transport, address: Address): Promise<Listener>
  /** Stops accepting, tells peers, waits for calls in flight; `signal` cuts the waiting short. */
  close(options?: { signal?: AbortSignal }): Promise<void>
}
