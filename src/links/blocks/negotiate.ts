/**
 * The exchange of hellos on a connection that was just made (protocols/olocus/hello.ts), before a
 * block travels on it.
 */
import type { Clock } from '../../core/clock.ts'
import type { ConnectionFacts } from '../../core/connection.ts'
import { TimeoutError, TransportError, toError } from '../../core/errors.ts'
import type { SigningKey } from '../../core/signing.ts'
import { blockError } from '../../protocols/olocus/block-codes.ts'
import {
  type Agreement,
  Negotiation,
  type NegotiationOptions,
} from '../../protocols/olocus/hello.ts'
import type { BlockConnection } from './block-connection.ts'
import type { ResolvedBlockOptions } from './block-options.ts'

export interface NegotiateOptions
  extends Pick<
    NegotiationOptions,
    'agent' | 'binding' | 'expectedKey' | 'formats' | 'maxClockSkewSeconds' | 'versions'
  > {
  /** What this side signs its hello with. */
  key: SigningKey
  /** Time for the whole exchange. @default 10_000, as for connecting */
  helloTimeoutMs?: number
}

export const negotiateDefaults: Readonly<{ helloTimeoutMs: number }> = Object.freeze({
  helloTimeoutMs: 10_000,
})

/** The connection is destroyed unless both sides agree. */
export async function negotiate(
  connection: BlockConnection,
  options: NegotiateOptions,
  settings: ResolvedBlockOptions,
  signal?: AbortSignal,
): Promise<Agreement> {
  const { helloTimeoutMs = negotiateDefaults.helloTimeoutMs } = options
  const { clock } = settings
  const end = clock.now() + helloTimeoutMs
  const negotiation = makeNegotiation(options, settings, roleOf(connection.facts))
  const wait = signal === undefined ? {} : { signal }
  try {
    await connection.send(negotiation.start(), wait)
    while (negotiation.agreement === undefined) {
      const timeoutMs = Math.max(0, end - clock.now())
      const answer = await negotiation.receive(await connection.recv({ ...wait, timeoutMs }))
      if (answer !== undefined) await connection.send(answer, wait)
    }
  } catch (error) {
    const reason = failure(error, helloTimeoutMs)
    connection.destroy(reason)
    throw reason
  }
  connection.adopt(negotiation.agreement)
  return negotiation.agreement
}

/** An exchange that has not begun, with a nonce of its own. */
export function makeNegotiation(
  options: NegotiateOptions,
  settings: ResolvedBlockOptions,
  role: 'dialer' | 'listener',
): Negotiation {
  const { helloTimeoutMs, ...hello } = options
  const { clock, signing, maxMessageBytes, format } = settings
  return new Negotiation({
    formats: [format],
    ...hello,
    role,
    host: signing,
    nonce: globalThis.crypto.getRandomValues(new Uint8Array(32)),
    now: Math.floor(clock.wallNow() / 1_000),
    maxMessageBytes,
  })
}

function roleOf(facts: ConnectionFacts): 'dialer' | 'listener' {
  return facts.role === 'initiating' ? 'dialer' : 'listener'
}

/** A peer that does not agree ends the connection: whoever hears that first must not take it for less. */
function failure(error: unknown, helloTimeoutMs: number): Error {
  const reason = toError(error)
  if ((reason as { code?: string }).code === 'ERR_DEADLINE') {
    const text = `no hello within ${helloTimeoutMs} ms`
    return new TimeoutError('ERR_CONNECT_TIMEOUT', text, { cause: error })
  }
  if (!(reason instanceof TransportError)) return reason
  const text = `the peer ended before both had agreed: ${reason.message}`
  return blockError('NegotiationIncomplete', text, error)
}

/** A signal that ends the exchange when its time is over, or when the given one does. */
export function helloDeadline(
  options: NegotiateOptions,
  clock: Clock,
  signal?: AbortSignal,
): { readonly signal: AbortSignal; cancel(): void } {
  const { helloTimeoutMs = negotiateDefaults.helloTimeoutMs } = options
  const late = new AbortController()
  const text = `no hello within ${helloTimeoutMs} ms`
  const timer = clock.setTimer(clock.now() + helloTimeoutMs, () =>
    late.abort(new TimeoutError('ERR_CONNECT_TIMEOUT', text)),
  )
  return {
    signal: signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]),
    cancel: () => timer.cancel(),
  }
}
