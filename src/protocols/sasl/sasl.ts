/**
 * SASL (RFC 4422): a login as a dialogue, apart from the protocol that carries it. What a carrier
 * needs to know of a mechanism is here; scram-*.ts and plain.ts are mechanisms.
 *
 *     client                                     server
 *     start() ── initial response ─────────────▸ step(response)
 *     step(challenge) ◂───────────── challenge ──
 *             ── response ─────────────────────▸ step(response)
 *     step(additional data) ◂── success + data ──
 *
 * Sans I/O: bytes in, one outcome out, by a callback because keys are derived elsewhere; nothing is
 * waited for twice. A side that has failed stays failed.
 */
import { AccessError, type HeddleError, ProtocolError } from '../../core/errors.ts'
import type { Principal } from '../../core/principal.ts'

/** What one step leads to. Called once, perhaps before the method returns. */
export type SaslDone<Outcome> = (outcome: Outcome) => void

export type ClientOutcome =
  | { readonly type: 'send'; readonly data: Uint8Array }
  /** The dialogue is over and, where the mechanism has one, the server's proof was right. */
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: HeddleError }

export interface SaslClient {
  readonly mechanism: string
  /** Whether the login is complete. A server that says so earlier has proven nothing. */
  readonly complete: boolean
  /** The initial response. */
  start(done: SaslDone<ClientOutcome>): void
  step(challenge: Uint8Array, done: SaslDone<ClientOutcome>): void
}

export type ServerOutcome =
  | { readonly type: 'send'; readonly data: Uint8Array }
  /** `data` goes with the success, or as a last challenge where the carrier has no room there. */
  | {
      readonly type: 'accepted'
      readonly principal: Principal
      readonly data: Uint8Array | undefined
    }
  | {
      readonly type: 'refused'
      /** For the audit log; a client learns only that it failed, and `data`. */
      readonly reason: string
      readonly data: Uint8Array | undefined
      readonly name: string | undefined
    }

export interface SaslServer {
  readonly mechanism: string
  step(response: Uint8Array, done: SaslDone<ServerOutcome>): void
}

/** What ties a login to the TLS connection it runs over, so that it cannot be relayed (RFC 5929, 9266). */
export interface ChannelBinding {
  readonly type: 'tls-exporter' | 'tls-server-end-point' | 'tls-unique'
  readonly data: Uint8Array
}

export interface MechanismChoice {
  /** Present on connections that can be tied to. */
  readonly binding?: ChannelBinding | undefined
  /** Refuses mechanisms without it. @default false */
  readonly requireBinding?: boolean
  /** The connection is private: a password may be sent as it is. @default false */
  readonly allowPlain?: boolean
}

/**
 * The strongest of the mechanisms a server offers; undefined: none that is acceptable.
 * SCRAM-SHA-1 comes last before PLAIN: it is of use only where nothing newer is there.
 */
export function chooseMechanism(
  offered: readonly string[],
  choice: MechanismChoice = {},
): SaslMechanism | undefined {
  const { binding, requireBinding = false, allowPlain = false } = choice
  const names = new Set(offered.slice(0, MAX_OFFERED).map((name) => name.toUpperCase()))
  return SASL_MECHANISMS.find((name) => {
    if (!names.has(name)) return false
    if (name === 'PLAIN') return allowPlain && !requireBinding
    return name.endsWith('-PLUS') ? binding !== undefined : !requireBinding
  })
}

/** Those that are spoken here, strongest first. */
export const SASL_MECHANISMS = [
  'SCRAM-SHA-512-PLUS',
  'SCRAM-SHA-256-PLUS',
  'SCRAM-SHA-1-PLUS',
  'SCRAM-SHA-512',
  'SCRAM-SHA-256',
  'SCRAM-SHA-1',
  'PLAIN',
] as const

export type SaslMechanism = (typeof SASL_MECHANISMS)[number]

export function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', message)
}

export function notAuthenticated(message: string): AccessError {
  return new AccessError('ERR_UNAUTHENTICATED', message)
}

const MAX_OFFERED = 64
