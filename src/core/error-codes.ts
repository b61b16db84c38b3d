/**
 * The one table of error codes. The type union, `docs/errors.md` and the pins test come from it.
 *
 * A code is a promise: it is never renamed and never changes its class. `retryable` is the default
 * of the code; the place that throws may know better and narrow it.
 */

export type ErrorClass =
  | 'UsageError'
  | 'ProtocolError'
  | 'RemoteError'
  | 'AccessError'
  | 'TransportError'
  | 'TimeoutError'
  | 'OverloadError'
  | 'ClosedError'
  | 'InternalError'

export type Retryable = 'yes' | 'if-idempotent' | 'no'

/** Whose fault an error is. */
export type Blame = 'caller' | 'peer' | 'network' | 'load' | 'lifecycle' | 'library' | 'unknown'

interface ErrorCodeEntry {
  readonly class: ErrorClass
  readonly retryable: Retryable
  readonly text: string
}

const usage = (text: string) => ({ class: 'UsageError', retryable: 'no', text }) as const
const protocol = (text: string) =>
  ({ class: 'ProtocolError', retryable: 'if-idempotent', text }) as const
const transport = (text: string) =>
  ({ class: 'TransportError', retryable: 'if-idempotent', text }) as const
const timeout = (text: string) =>
  ({ class: 'TimeoutError', retryable: 'if-idempotent', text }) as const
const overload = (text: string) => ({ class: 'OverloadError', retryable: 'yes', text }) as const
const access = (text: string) => ({ class: 'AccessError', retryable: 'no', text }) as const
const closed = (text: string) => ({ class: 'ClosedError', retryable: 'no', text }) as const

export const ERROR_CODES = Object.freeze({
  // The caller must fix the code.
  ERR_OPTION_RANGE: usage('an option is outside its range'),
  ERR_OPTION_UNKNOWN: usage('an option is not known here'),
  ERR_OPTION_UNSUPPORTED: usage('an option cannot be honoured on this platform or transport'),
  ERR_ADDRESS_INVALID: usage('an address or URL cannot be understood'),
  ERR_ARGUMENT: usage('an argument has the wrong type or value'),
  ERR_ALREADY_OPEN: usage('something that opens once was opened again'),
  ERR_NOT_OPEN: usage('something was used before it was opened'),
  ERR_STATE: usage('the operation is not legal in this state'),
  ERR_FIELDS_TOO_LARGE: usage('the fields of a message are over what the peer takes'),
  ERR_BODY_USED: usage('a body can be consumed only once'),
  ERR_CONFIG: usage('the configuration is not valid'),
  ERR_SCHEMA: usage('a Protobuf schema, or its HTTP annotations, cannot be used'),

  // The peer broke the protocol: drop the connection.
  ERR_PROTOCOL: protocol('the peer broke the protocol'),
  ERR_FRAME_TOO_LARGE: protocol('a frame or message is over its limit'),
  ERR_TRUNCATED: protocol('input ended inside a message'),
  ERR_MALFORMED: protocol('a message cannot be parsed'),
  ERR_LIMIT: protocol('the peer exceeded a limit'),
  ERR_CHECKSUM: protocol('a checksum does not match'),
  ERR_VERSION: protocol('the peer speaks an unsupported version'),
  ERR_WRONG_PROTOCOL: protocol('the peer speaks another protocol'),
  ERR_FORGED: protocol('a sealed record is not what the holder of the key has sent'),
  ERR_REPLAYED: protocol('a sealed record came twice, or not in its turn'),
  ERR_EXPANSION: protocol('compressed data expands over its limit'),
  ERR_ENCODING: protocol('encoded or compressed data is corrupt'),
  ERR_SIGNATURE: protocol('a signature is not that of its key'),
  ERR_BLOCK: protocol('a block breaks a rule of its chain; `status` is the number of the rule'),
  ERR_NEGOTIATION: protocol('the two sides do not agree; `status` is the number of the reason'),

  // The peer answered correctly, with an error.
  ERR_REMOTE: { class: 'RemoteError', retryable: 'no', text: 'the peer answered with an error' },
  ERR_QUORUM: {
    class: 'RemoteError',
    retryable: 'no',
    text: 'too few branches of a fan-out replied; the error says which failed',
  },

  // The network failed.
  ERR_CONNECT: {
    class: 'TransportError',
    retryable: 'yes',
    text: 'a connection could not be established',
  },
  ERR_CONNECT_REFUSED: { class: 'TransportError', retryable: 'yes', text: 'nobody listens there' },
  ERR_RESOLVE: { class: 'TransportError', retryable: 'yes', text: 'a name cannot be resolved' },
  ERR_TLS: {
    class: 'TransportError',
    retryable: 'no',
    text: 'the TLS handshake or a certificate check failed',
  },
  ERR_RESET: transport('the connection was reset'),
  ERR_DISCONNECTED: transport('the connection ended before the answer'),
  ERR_SEAL: {
    class: 'TransportError',
    retryable: 'no',
    text: 'no seal was agreed: another key, an unknown key id, a cipher that is not accepted',
  },
  ERR_LISTEN: { class: 'TransportError', retryable: 'no', text: 'cannot listen on the address' },
  ERR_ADDRESS_IN_USE: { class: 'TransportError', retryable: 'no', text: 'the address is in use' },
  ERR_ACCEPT: transport('a connection could not be accepted'),
  ERR_PROXY: transport('a proxy refused or broke the tunnel'),

  // Time ran out.
  ERR_DEADLINE: timeout('the deadline of the call passed'),
  ERR_CONNECT_TIMEOUT: {
    class: 'TimeoutError',
    retryable: 'yes',
    text: 'connecting took longer than allowed',
  },
  ERR_IDLE: timeout('nothing arrived for longer than the idle timeout'),
  ERR_REQUEST_TIMEOUT: timeout('a request did not arrive in time'),
  ERR_ATTEMPT_TIMEOUT: timeout('one attempt took longer than allowed'),

  // Refused because of who asks.
  ERR_UNAUTHENTICATED: access('no credentials, or none that are accepted'),
  ERR_FORBIDDEN: access('the principal may not do this'),
  ERR_LOCKED_OUT: access('too many failed attempts to authenticate'),

  // Refused before work began.
  ERR_SHED: overload('the call was shed before work began'),
  ERR_POOL_FULL: overload('the pool and its queue are full'),
  ERR_POOL_PAUSED: overload('the pool is paused'),
  ERR_BREAKER_OPEN: overload('the circuit breaker is open'),
  ERR_NO_ENDPOINT: overload('no endpoint is available'),
  ERR_LIMITED: overload('a limit on calls or connections at a time was reached'),
  ERR_RATE_LIMITED: overload('the caller has used up its share of a rate limit'),
  ERR_BUSY: overload('the connection cannot take another call now'),

  // The life cycle ended it.
  ERR_CLOSED: closed('it was closed'),
  ERR_DRAINING: { class: 'ClosedError', retryable: 'yes', text: 'it is draining, ask elsewhere' },
  ERR_ABORTED: closed('the caller cancelled'),

  // Ours.
  ERR_INVARIANT: {
    class: 'InternalError',
    retryable: 'no',
    text: 'a bug in heddle, please report',
  },
} as const satisfies Record<string, ErrorCodeEntry>)

export type ErrorCode = keyof typeof ERROR_CODES

/** Codes whose class is `Class`, so that `new TimeoutError('ERR_RESET')` does not compile. */
export type CodeOf<Class extends ErrorClass> = {
  [Code in ErrorCode]: (typeof ERROR_CODES)[Code]['class'] extends Class ? Code : never
}[ErrorCode]
