/**
 * The SSL object of a connection: what is called on it, and what it says, as plain values.
 */
import type { QuicCloseInfo } from '../quic-errors.ts'
import {
  ACCEPT_STREAM_NO_BLOCK,
  CTRL_SET_TLSEXT_HOSTNAME,
  DEFAULT_STREAM_MODE_NONE,
  ERROR_WANT_READ,
  ERROR_WANT_WRITE,
  EVENT_MODE_EXPLICIT,
  INCOMING_STREAM_POLICY_ACCEPT,
  SHUTDOWN_NO_BLOCK,
  SHUTDOWN_NO_STREAM_FLUSH,
  SHUTDOWN_RAPID,
  STREAM_FLAG_NO_BLOCK,
  STREAM_FLAG_UNI,
  STREAM_TYPE_READ,
  VALUE_BIDI_LOCAL_AVAILABLE,
  VALUE_CLASS_GENERIC,
  VALUE_CLASS_REQUEST,
  VALUE_EVENT_MODE,
  VALUE_IDLE_TIMEOUT,
  VALUE_UNI_LOCAL_AVAILABLE,
} from './functions.ts'
import type { Openssl } from './openssl.ts'

export type HandshakeStep = 'pending' | 'done' | 'failed'

export class ConnectionHandle {
  readonly #openssl: Openssl
  #ssl: number

  /** Takes over the SSL object. */
  constructor(openssl: Openssl, ssl: number) {
    this.#openssl = openssl
    this.#ssl = ssl
  }

  get ssl(): number {
    return this.#ssl
  }

  /** What every connection of ours is, before its handshake. */
  prepare(idleTimeoutMs: number): void {
    const { f } = this.#openssl
    const ssl = this.#ssl
    f.SSL_set_blocking_mode(ssl, 0)
    f.SSL_set_value_uint(ssl, VALUE_CLASS_REQUEST, VALUE_IDLE_TIMEOUT, idleTimeoutMs)
    f.SSL_set_default_stream_mode(ssl, DEFAULT_STREAM_MODE_NONE)
    f.SSL_set_incoming_stream_policy(ssl, INCOMING_STREAM_POLICY_ACCEPT, 0)
    f.SSL_set_value_uint(ssl, VALUE_CLASS_GENERIC, VALUE_EVENT_MODE, EVENT_MODE_EXPLICIT)
    f.ERR_clear_error()
  }

  /** Client: whom it dials, and as what. */
  dial(peerAt: number, alpn: Uint8Array, serverName: string | undefined, asksName: boolean): void {
    const { f } = this.#openssl
    const ssl = this.#ssl
    const must = (done: number, what: string): number => this.#openssl.must(done, what)
    // This one says 0 when it is done.
    must(f.SSL_set_alpn_protos(ssl, alpn, alpn.length) === 0 ? 1 : 0, 'SSL_set_alpn_protos')
    if (serverName !== undefined) {
      // An address is checked like a name but never asked for (RFC 6066, section 3).
      if (asksName) must(f.SSL_ctrl(ssl, CTRL_SET_TLSEXT_HOSTNAME, 0, serverName), 'server name')
      must(f.SSL_set1_host(ssl, serverName), 'SSL_set1_host')
    }
    must(f.SSL_set1_initial_peer_addr(ssl, peerAt), 'SSL_set1_initial_peer_addr')
  }

  /** Client: resumes a session, if it can be read. */
  resume(session: Uint8Array): void {
    const { f } = this.#openssl
    const pointer = this.#openssl.decode(f.d2i_SSL_SESSION, session)
    if (pointer !== 0) {
      f.SSL_set_session(this.#ssl, pointer)
      f.SSL_SESSION_free(pointer)
    }
    f.ERR_clear_error()
  }

  handshake(role: 'client' | 'server'): HandshakeStep {
    if (this.#ssl === 0) return 'failed'
    const { f } = this.#openssl
    if (role === 'server') return f.SSL_in_init(this.#ssl) === 0 ? 'done' : 'pending'
    const result = f.SSL_connect(this.#ssl)
    if (result === 1) return 'done'
    const error = f.SSL_get_error(this.#ssl, result)
    if (error !== ERROR_WANT_READ && error !== ERROR_WANT_WRITE) return 'failed'
    f.ERR_clear_error()
    return 'pending'
  }

  /** Streams that may be opened now. */
  openable(direction: 'bidirectional' | 'unidirectional'): number {
    if (this.#ssl === 0) return 0
    const { f, at, scratch32 } = this.#openssl
    const id =
      direction === 'bidirectional' ? VALUE_BIDI_LOCAL_AVAILABLE : VALUE_UNI_LOCAL_AVAILABLE
    if (f.SSL_get_value_uint(this.#ssl, VALUE_CLASS_GENERIC, id, at) === 1) {
      return scratch32[0] as number
    }
    f.ERR_clear_error()
    return 0
  }

  /** @returns 0: the peer's limit is reached */
  openStream(direction: 'bidirectional' | 'unidirectional'): number {
    if (this.#ssl === 0) return 0
    const { f } = this.#openssl
    const single = direction === 'unidirectional' ? STREAM_FLAG_UNI : 0
    const stream = f.SSL_new_stream(this.#ssl, STREAM_FLAG_NO_BLOCK | single)
    if (stream === 0) f.ERR_clear_error()
    return stream
  }

  /** @returns 0: none is waiting */
  acceptStream(): number {
    if (this.#ssl === 0) return 0
    const { f } = this.#openssl
    const stream = f.SSL_accept_stream(this.#ssl, ACCEPT_STREAM_NO_BLOCK)
    if (stream === 0) f.ERR_clear_error()
    return stream
  }

  directionOf(stream: number): 'bidirectional' | 'unidirectional' {
    const type = this.#openssl.f.SSL_get_stream_type(stream)
    return type === STREAM_TYPE_READ ? 'unidirectional' : 'bidirectional'
  }

  /** A stream that nobody is going to take. */
  refuse(stream: number, code: bigint): void {
    const { f, at, scratch64 } = this.#openssl
    scratch64[0] = code
    f.SSL_stream_reset(stream, at, 8)
    f.SSL_free(stream)
    f.ERR_clear_error()
  }

  /** Sends CONNECTION_CLOSE, after everything that streams still have to send when `flush`. */
  shutdown(code: bigint, reason: string, flush: boolean): void {
    if (this.#ssl === 0) return
    const { f, at, scratch, scratch64 } = this.#openssl
    const { written } = TEXT.encodeInto(reason, scratch.subarray(REASON_AT, REASON_END))
    scratch[REASON_AT + written] = 0
    scratch64[ARGUMENTS_AT / 8] = code
    scratch64[ARGUMENTS_AT / 8 + 1] = BigInt(at + REASON_AT)
    const flags = SHUTDOWN_RAPID | SHUTDOWN_NO_BLOCK | (flush ? 0 : SHUTDOWN_NO_STREAM_FLUSH)
    f.SSL_shutdown_ex(this.#ssl, flags, at + ARGUMENTS_AT, 16)
    f.ERR_clear_error()
  }

  /** How it ended; undefined while it has not. */
  closeInfo(): QuicCloseInfo | undefined {
    if (this.#ssl === 0) return undefined
    const { f, at, scratch32, scratch64 } = this.#openssl
    // { u64 code; u64 frame type; char *reason; size_t reason length; u32 flags }
    if (f.SSL_get_conn_close_info(this.#ssl, at + CLOSE_AT, 40) !== 1) {
      f.ERR_clear_error()
      return undefined
    }
    const code = scratch64[CLOSE_AT / 8] as bigint
    const pointer = Number(scratch64[CLOSE_AT / 8 + 2])
    const length = Math.min(Number(scratch64[CLOSE_AT / 8 + 3]), MAX_REASON_BYTES)
    const flags = scratch32[CLOSE_AT / 4 + 8] as number
    const bytes = pointer === 0 ? new Uint8Array(0) : this.#openssl.copyOf(pointer, length)
    return {
      code,
      reason: printable(new TextDecoder().decode(bytes)),
      local: (flags & 1) !== 0,
      transport: (flags & 2) !== 0,
    }
  }

  /** Why the peer's certificate was refused. */
  verification(): string | undefined {
    if (this.#ssl === 0) return undefined
    const { f } = this.#openssl
    const result = f.SSL_get_verify_result(this.#ssl)
    if (result === 0) return undefined
    return f.X509_verify_cert_error_string(result) ?? `verification error ${result}`
  }

  alpn(): string | undefined {
    if (this.#ssl === 0) return undefined
    const { f, at, scratch32, scratch64 } = this.#openssl
    f.SSL_get0_alpn_selected(this.#ssl, at, at + 8)
    const pointer = Number(scratch64[0])
    if (pointer === 0) return undefined
    const bytes = this.#openssl.copyOf(pointer, scratch32[2] as number)
    return Buffer.from(bytes).toString('latin1')
  }

  cipher(): string {
    if (this.#ssl === 0) return ''
    const { f } = this.#openssl
    const cipher = f.SSL_get_current_cipher(this.#ssl)
    return (cipher === 0 ? null : f.SSL_CIPHER_get_name(cipher)) ?? ''
  }

  /** Server: the name that was asked for. */
  askedName(): string | undefined {
    if (this.#ssl === 0) return undefined
    return this.#openssl.f.SSL_get_servername(this.#ssl, 0) ?? undefined
  }

  get resumed(): boolean {
    return this.#ssl !== 0 && this.#openssl.f.SSL_session_reused(this.#ssl) === 1
  }

  /** DER of the peer's certificate. */
  peerCertificate(): Uint8Array | undefined {
    if (this.#ssl === 0) return undefined
    const { f } = this.#openssl
    const certificate = f.SSL_get1_peer_certificate(this.#ssl)
    if (certificate === 0) return undefined
    const der = this.#openssl.encode(f.i2d_X509, certificate)
    f.X509_free(certificate)
    return der
  }

  /** DER of the chain that was verified, the peer's own first; empty where nothing was. */
  verifiedChain(): Uint8Array[] {
    if (this.#ssl === 0) return []
    const { f } = this.#openssl
    const stack = f.SSL_get0_verified_chain(this.#ssl)
    if (stack === 0) return []
    const count = f.OPENSSL_sk_num(stack)
    return Array.from({ length: Math.max(0, count) }, (_, index) =>
      this.#openssl.encode(f.i2d_X509, f.OPENSSL_sk_value(stack, index)),
    )
  }

  /** Client: whether the server has sent a ticket. */
  get hasSession(): boolean {
    if (this.#ssl === 0) return false
    const { f } = this.#openssl
    const session = f.SSL_get1_session(this.#ssl)
    if (session === 0) return false
    const resumable = f.SSL_SESSION_is_resumable(session) === 1
    f.SSL_SESSION_free(session)
    return resumable
  }

  /** Client: what resumes this session later, once the server has sent a ticket. */
  session(): Uint8Array | undefined {
    if (this.#ssl === 0) return undefined
    const { f } = this.#openssl
    const session = f.SSL_get1_session(this.#ssl)
    if (session === 0) return undefined
    const usable = f.SSL_SESSION_is_resumable(session) === 1
    const bytes = usable ? this.#openssl.encode(f.i2d_SSL_SESSION, session) : undefined
    f.SSL_SESSION_free(session)
    return bytes
  }

  /** The streams must be free already. */
  free(): void {
    if (this.#ssl === 0) return
    const { f } = this.#openssl
    f.SSL_free(this.#ssl)
    f.ERR_clear_error()
    this.#ssl = 0
  }
}

const TEXT = new TextEncoder()

/** A peer's words end up in logs. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}

/** In the scratch page. */
const CLOSE_AT = 256
const ARGUMENTS_AT = 640
const REASON_AT = 2_048
const REASON_END = 2_560
const MAX_REASON_BYTES = 1_024
