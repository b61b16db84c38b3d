/**
 * The exchange of hellos on a connection that was just made (protocols/olocus/hello.ts), before a
 * block travels on it.
 */
import type { ConnectionFacts } from '../../core/connection.ts'
import { TimeoutError, UsageError } from '../../core/errors.ts'
import type { SigningKey } from '../../core/signing.ts'
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
  const { helloTimeoutMs = negotiateDefaults.helloTimeoutMs, ...hello } = options
  const { clock, signing, maxMessageBytes, format } = settings
  const end = clock.now() + helloTimeoutMs
  const nonce = globalThis.crypto.getRandomValues(new Uint8Array(32))
  const negotiation = new Negotiation({
    formats: [format],
    ...hello,
    role: roleOf(connection.facts),
    host: signing,
    nonce,
    now: Math.floor(clock.wallNow() / 1_000),
    maxMessageBytes,
  })
  const wait = signal === undefined ? {} : { signal }
  try {
    await connection.send(negotiation.start(), wait)
    while (negotiation.agreement === undefined) {
      const timeoutMs = Math.max(0, end - clock.now())
      const answer = await negotiation.receive(await connection.recv({ ...wait, timeoutMs }))
      if (answer !== undefined) await connection.send(answer, wait)
    }
  } catch (error) {
    const reason = inTime(error, helloTimeoutMs)
    connection.destroy(reason)
    throw reason
  }
  connection.adopt(negotiation.agreement)
  return negotiation.agreement
}

function roleOf(facts: ConnectionFacts): 'dialer' | 'listener' {
  return facts.role === 'initiating' ? 'dialer' : 'listener'
}

function inTime(error: unknown, helloTimeoutMs: number): Error {
  if ((error as { code?: string }).code !== 'ERR_DEADLINE') return error as Error
  const text = `no hello within ${helloTimeoutMs} ms`
  return new TimeoutError('ERR_CONNECT_TIMEOUT', text, { cause: error })
}

/** Where messages overtake each other there is no first one. */
export function refuseNegotiation(type: string): UsageError {
  return new UsageError('ERR_OPTION_UNSUPPORTED', `${type} has no exchange of hellos`)
}
