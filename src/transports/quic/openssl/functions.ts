/**
 * The functions of OpenSSL 3.5 that QUIC needs, as C declares them: result, then arguments.
 *
 * All of them are public API of libssl 3 and libcrypto 3. Pointers are numbers (`uintptr_t`):
 * nothing here owns memory, and a pointer of 0 is refused by every caller before it gets here.
 * `ABI` lists what a signature may consist of.
 */

/** Types of the table, and what they are in JavaScript. */
interface ABI {
  void: undefined
  int: number
  long: number
  ushort: number
  uint32_t: number
  size_t: number
  uint64_t: number | bigint
  /** A pointer as a number. */
  uintptr_t: number
  /** A pointer to memory of JavaScript, for the time of the call only. */
  'const void *': Uint8Array
  /** Text that ends in a zero byte. */
  str: string
}

type TypeName = keyof ABI
type Signature = readonly [result: TypeName, arguments: readonly TypeName[]]

const P = 'uintptr_t'
const BYTES = 'const void *'

export const SIGNATURES = {
  // Methods and contexts.
  OSSL_QUIC_client_method: [P, []],
  OSSL_QUIC_server_method: [P, []],
  SSL_CTX_new: [P, [P]],
  SSL_CTX_free: ['void', [P]],
  SSL_CTX_ctrl: ['long', [P, 'int', 'long', P]],
  SSL_CTX_set_domain_flags: ['int', [P, 'uint64_t']],
  SSL_CTX_set_verify: ['void', [P, 'int', P]],
  SSL_CTX_use_certificate: ['int', [P, P]],
  SSL_CTX_use_PrivateKey: ['int', [P, P]],
  SSL_CTX_check_private_key: ['int', [P]],
  SSL_CTX_set1_cert_store: ['void', [P, P]],
  SSL_CTX_set_session_id_context: ['int', [P, BYTES, 'uint32_t']],
  SSL_select_next_proto: ['int', [P, P, P, 'uint32_t', P, 'uint32_t']],

  // Certificates and keys.
  X509_STORE_new: [P, []],
  X509_STORE_free: ['void', [P]],
  X509_STORE_add_cert: ['int', [P, P]],
  X509_free: ['void', [P]],
  d2i_X509: [P, [P, P, 'long']],
  i2d_X509: ['int', [P, P]],
  d2i_AutoPrivateKey: [P, [P, P, 'long']],
  EVP_PKEY_free: ['void', [P]],
  X509_verify_cert_error_string: ['str', ['long']],
  OPENSSL_sk_num: ['int', [P]],
  OPENSSL_sk_value: [P, [P, 'int']],

  // Listeners, connections and their settings.
  SSL_new_listener: [P, [P, 'uint64_t']],
  SSL_new_from_listener: [P, [P, 'uint64_t']],
  SSL_listen: ['int', [P]],
  SSL_accept_connection: [P, [P, 'uint64_t']],
  SSL_free: ['void', [P]],
  SSL_set_bio: ['void', [P, P, P]],
  SSL_set_blocking_mode: ['int', [P, 'int']],
  SSL_set_default_stream_mode: ['int', [P, 'uint32_t']],
  SSL_set_incoming_stream_policy: ['int', [P, 'int', 'uint64_t']],
  SSL_get_value_uint: ['int', [P, 'uint32_t', 'uint32_t', P]],
  SSL_set_value_uint: ['int', [P, 'uint32_t', 'uint32_t', 'uint64_t']],
  SSL_set_alpn_protos: ['int', [P, BYTES, 'uint32_t']],
  SSL_get0_alpn_selected: ['void', [P, P, P]],
  SSL_ctrl: ['long', [P, 'int', 'long', 'str']],
  SSL_set1_host: ['int', [P, 'str']],
  SSL_set1_initial_peer_addr: ['int', [P, P]],
  SSL_get_servername: ['str', [P, 'int']],
  SSL_get_current_cipher: [P, [P]],
  SSL_CIPHER_get_name: ['str', [P]],

  // The handshake and what came of it.
  SSL_connect: ['int', [P]],
  SSL_in_init: ['int', [P]],
  SSL_get_error: ['int', [P, 'int']],
  SSL_get_verify_result: ['long', [P]],
  SSL_get1_peer_certificate: [P, [P]],
  SSL_get0_verified_chain: [P, [P]],
  SSL_get1_session: [P, [P]],
  SSL_set_session: ['int', [P, P]],
  SSL_SESSION_free: ['void', [P]],
  SSL_SESSION_is_resumable: ['int', [P]],
  SSL_session_reused: ['int', [P]],
  i2d_SSL_SESSION: ['int', [P, P]],
  d2i_SSL_SESSION: [P, [P, P, 'long']],

  // Events.
  SSL_handle_events: ['int', [P]],
  SSL_get_event_timeout: ['int', [P, P, P]],
  SSL_poll: ['int', [P, 'size_t', 'size_t', P, 'uint64_t', P]],

  // Streams.
  SSL_new_stream: [P, [P, 'uint64_t']],
  SSL_accept_stream: [P, [P, 'uint64_t']],
  SSL_get_stream_id: ['uint64_t', [P]],
  SSL_get_stream_type: ['int', [P]],
  SSL_read_ex: ['int', [P, P, 'size_t', P]],
  SSL_write_ex2: ['int', [P, BYTES, 'size_t', 'uint64_t', P]],
  SSL_stream_conclude: ['int', [P, 'uint64_t']],
  SSL_stream_reset: ['int', [P, P, 'size_t']],
  SSL_get_stream_read_state: ['int', [P]],
  SSL_get_stream_write_state: ['int', [P]],
  SSL_get_stream_read_error_code: ['int', [P, P]],
  SSL_get_stream_write_error_code: ['int', [P, P]],

  // The end.
  SSL_shutdown_ex: ['int', [P, 'uint64_t', P, 'size_t']],
  SSL_get_conn_close_info: ['int', [P, P, 'size_t']],

  // Datagrams.
  BIO_new_bio_dgram_pair: ['int', [P, 'size_t', P, 'size_t']],
  BIO_free: ['int', [P]],
  BIO_ctrl: ['long', [P, 'int', 'long', P]],
  BIO_recvmmsg: ['int', [P, P, 'size_t', 'size_t', 'uint64_t', P]],
  SSL_inject_net_dgram: ['int', [P, P, 'size_t', P, P]],
  BIO_ADDR_rawmake: ['int', [P, 'int', BYTES, 'size_t', 'ushort']],

  // Errors and the version.
  ERR_get_error: ['uint64_t', []],
  ERR_error_string_n: ['void', ['uint64_t', P, 'size_t']],
  ERR_clear_error: ['void', []],
  OpenSSL_version_num: ['uint64_t', []],
  OpenSSL_version: ['str', ['int']],
} as const satisfies Record<string, Signature>

export type FunctionName = keyof typeof SIGNATURES

type Arguments<Types extends readonly TypeName[]> = {
  [Index in keyof Types]: ABI[Types[Index]]
}

/** Each of them as a function of JavaScript. A null text comes back as null. */
export type OpensslFunctions = {
  readonly [Name in FunctionName]: (
    ...values: Arguments<(typeof SIGNATURES)[Name][1]>
  ) => (typeof SIGNATURES)[Name][0] extends 'str'
    ? string | null
    : ABI[(typeof SIGNATURES)[Name][0]]
}

/** SSL_CTX_ctrl and SSL_ctrl. */
export const CTRL_EXTRA_CHAIN_CERT = 14
export const CTRL_MODE = 33
export const CTRL_SET_TLSEXT_HOSTNAME = 55
/** Partial writes, from memory that may have moved: we queue what was not taken. */
export const MODE_PARTIAL_AND_MOVING = 1 | 2

export const VERIFY_NONE = 0
export const VERIFY_PEER = 1
export const VERIFY_FAIL_IF_NO_PEER_CERT = 2

/** One thread per context: no lock, no helper thread. */
export const DOMAIN_FLAG_SINGLE_THREAD = 1
/** Skips Retry, which proves that a client's address is its own. */
export const LISTENER_FLAG_NO_VALIDATE = 2
/** Without these, calls block the whole thread. */
export const ACCEPT_CONNECTION_NO_BLOCK = 1
export const ACCEPT_STREAM_NO_BLOCK = 1
export const STREAM_FLAG_UNI = 1
export const STREAM_FLAG_NO_BLOCK = 2

export const DEFAULT_STREAM_MODE_NONE = 0
export const INCOMING_STREAM_POLICY_ACCEPT = 1

/** Classes and names of SSL_get_value_uint and SSL_set_value_uint. */
export const VALUE_CLASS_GENERIC = 0
export const VALUE_CLASS_REQUEST = 1
export const VALUE_BIDI_LOCAL_AVAILABLE = 1
export const VALUE_UNI_LOCAL_AVAILABLE = 3
export const VALUE_IDLE_TIMEOUT = 5
export const VALUE_EVENT_MODE = 6
export const EVENT_MODE_EXPLICIT = 2

export const ERROR_WANT_READ = 2
export const ERROR_WANT_WRITE = 3

export const STREAM_TYPE_READ = 1
export const STREAM_STATE_OK = 1
export const STREAM_STATE_FINISHED = 3
export const STREAM_STATE_RESET_REMOTE = 5
export const STREAM_STATE_CONNECTION_CLOSED = 6

export const SHUTDOWN_RAPID = 1
export const SHUTDOWN_NO_STREAM_FLUSH = 2
export const SHUTDOWN_NO_BLOCK = 4

/** Events of SSL_poll. */
export const EVENT_FAILURE = 1
export const EVENT_LISTENER_ERROR = 2
export const EVENT_CONNECTION_ERROR = 4
export const EVENT_CONNECTION_DRAINED = 8
export const EVENT_READ_ERROR = 16
export const EVENT_WRITE_ERROR = 32
export const EVENT_READABLE = 64
export const EVENT_WRITABLE = 128
export const EVENT_INCOMING_CONNECTION = 256
export const EVENT_INCOMING_BIDI = 512
export const EVENT_INCOMING_UNI = 1_024
export const EVENT_OPENABLE_BIDI = 2_048
export const EVENT_OPENABLE_UNI = 4_096

/** BIO_ctrl. */
export const DGRAM_SET_LOCAL_ADDR_ENABLE = 84
export const DGRAM_SET_CAPS = 87
/** Both halves handle source and destination addresses. */
export const DGRAM_CAPS_ALL = 15
