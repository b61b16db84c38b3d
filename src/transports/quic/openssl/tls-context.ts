/**
 * An SSL_CTX for QUIC: what a side shows, whom it trusts, which application protocols it speaks.
 *
 * Certificates and keys go through `node:crypto` first: it reads PEM and passphrases, and says what
 * is wrong with them in words. OpenSSL gets DER.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { getCACertificates } from 'node:tls'
import { UsageError } from '../../../core/errors.ts'
import { reveal } from '../../../core/secret.ts'
import { checkCredentials } from '../../tls/certificate-check.ts'
import type { TlsCredentials } from '../../tls/tls-options.ts'
import {
  CTRL_EXTRA_CHAIN_CERT,
  CTRL_MODE,
  DOMAIN_FLAG_SINGLE_THREAD,
  MODE_PARTIAL_AND_MOVING,
  VERIFY_FAIL_IF_NO_PEER_CERT,
  VERIFY_NONE,
  VERIFY_PEER,
} from './functions.ts'
import type { Openssl } from './openssl.ts'

export interface TlsContextSettings {
  readonly role: 'client' | 'server'
  readonly alpn: readonly string[]
  readonly ca: readonly (string | Uint8Array)[] | undefined
  readonly credentials: TlsCredentials | undefined
  /** Client: whether the server's certificate is checked. */
  readonly verify: boolean
  /** Server: whether clients show a certificate. */
  readonly clientCertificates: 'none' | 'request' | 'require'
}

export class TlsContext implements Disposable {
  readonly #openssl: Openssl
  readonly verifies: boolean
  /** The protocols as they stand on the wire, each behind its length. */
  readonly alpn: Uint8Array
  #pointer: number
  #alpnCallback: bigint | undefined

  /** @throws UsageError ERR_CONFIG for certificates and keys that cannot be used */
  constructor(openssl: Openssl, settings: TlsContextSettings) {
    this.#openssl = openssl
    this.alpn = alpnWire(settings.alpn)
    const { f } = openssl
    const server = settings.role === 'server'
    const method = server ? f.OSSL_QUIC_server_method() : f.OSSL_QUIC_client_method()
    this.#pointer = openssl.must(f.SSL_CTX_new(method), 'SSL_CTX_new')
    openssl.pins.add(this)
    try {
      openssl.must(
        f.SSL_CTX_set_domain_flags(this.#pointer, DOMAIN_FLAG_SINGLE_THREAD),
        'SSL_CTX_set_domain_flags',
      )
      f.SSL_CTX_ctrl(this.#pointer, CTRL_MODE, MODE_PARTIAL_AND_MOVING, 0)
      if (settings.credentials !== undefined) this.#show(settings.credentials)
      const mode = verifyMode(settings)
      this.verifies = mode !== VERIFY_NONE
      f.SSL_CTX_set_verify(this.#pointer, mode, 0)
      if (this.verifies) this.#trust(settings.ca)
      if (server) this.#serve()
    } catch (error) {
      this[Symbol.dispose]()
      throw error
    } finally {
      f.ERR_clear_error()
    }
  }

  get pointer(): number {
    return this.#pointer
  }

  [Symbol.dispose](): void {
    if (this.#pointer === 0) return
    this.#openssl.f.SSL_CTX_free(this.#pointer)
    this.#pointer = 0
    if (this.#alpnCallback !== undefined) this.#openssl.koffi.unregister(this.#alpnCallback)
    this.#openssl.pins.delete(this)
  }

  #show(credentials: TlsCredentials): void {
    const name = credentials.name ?? 'credentials'
    checkCredentials(credentials, name)
    const { f } = this.#openssl
    const certificates = pemCertificates(credentials.certificate)
    for (const [index, pem] of certificates.entries()) {
      const certificate = this.#certificate(pem, name)
      if (index === 0) {
        const used = f.SSL_CTX_use_certificate(this.#pointer, certificate)
        f.X509_free(certificate)
        this.#openssl.must(used, 'SSL_CTX_use_certificate')
      } else {
        // The context owns it from here on.
        const added = f.SSL_CTX_ctrl(this.#pointer, CTRL_EXTRA_CHAIN_CERT, 0, certificate)
        this.#openssl.must(added, 'adding a certificate to the chain')
      }
    }
    const { key, passphrase } = credentials
    const plain = createPrivateKey({
      key: typeof key === 'string' ? key : Buffer.from(key),
      ...(passphrase !== undefined && { passphrase: reveal(passphrase) }),
    })
    const der = plain.export({ type: 'pkcs8', format: 'der' })
    const pointer = this.#openssl.decode(f.d2i_AutoPrivateKey, der)
    der.fill(0)
    this.#openssl.must(pointer, 'reading a private key')
    const used = f.SSL_CTX_use_PrivateKey(this.#pointer, pointer)
    f.EVP_PKEY_free(pointer)
    this.#openssl.must(used, 'SSL_CTX_use_PrivateKey')
    this.#openssl.must(f.SSL_CTX_check_private_key(this.#pointer), 'SSL_CTX_check_private_key')
  }

  #trust(ca: readonly (string | Uint8Array)[] | undefined): void {
    const { f } = this.#openssl
    // What Node trusts does not change: one for the thread.
    const store = ca === undefined ? this.#defaultStore() : this.#newStore(ca)
    f.SSL_CTX_set1_cert_store(this.#pointer, store)
    if (ca !== undefined) f.X509_STORE_free(store)
  }

  #defaultStore(): number {
    if (this.#openssl.defaultStore === 0) {
      this.#openssl.defaultStore = this.#newStore(getCACertificates('default'))
    }
    return this.#openssl.defaultStore
  }

  #newStore(authorities: readonly (string | Uint8Array)[]): number {
    const { f } = this.#openssl
    const store = this.#openssl.must(f.X509_STORE_new(), 'X509_STORE_new')
    try {
      for (const pem of authorities.flatMap(pemCertificates)) {
        const certificate = this.#certificate(pem, 'ca')
        const added = f.X509_STORE_add_cert(store, certificate)
        f.X509_free(certificate)
        this.#openssl.must(added, 'X509_STORE_add_cert')
      }
    } catch (error) {
      f.X509_STORE_free(store)
      throw error
    }
    return store
  }

  #certificate(pem: string, option: string): number {
    let der: Uint8Array
    try {
      der = new X509Certificate(pem).raw
    } catch (cause) {
      throw new UsageError('ERR_CONFIG', `${option}: a certificate cannot be read`, { cause })
    }
    const { f } = this.#openssl
    return this.#openssl.must(this.#openssl.decode(f.d2i_X509, der), 'reading a certificate')
  }

  /** Server: resumption, and the choice of the application protocol. */
  #serve(): void {
    const { koffi, library, f } = this.#openssl
    f.SSL_CTX_set_session_id_context(this.#pointer, SESSION_CONTEXT, SESSION_CONTEXT.length)
    const wire = this.#openssl.addressOf(this.alpn)
    const { length } = this.alpn
    // It is called in the middle of SSL_handle_events, where calls on QUIC objects would deadlock,
    // and an exception would surface there: it only looks at memory, and cannot throw.
    const choose = (
      _ssl: number,
      out: number,
      outLength: number,
      offered: number,
      bytes: number,
    ) =>
      f.SSL_select_next_proto(out, outLength, wire, length, offered, bytes) === NEGOTIATED
        ? ALPN_OK
        : ALPN_FATAL
    const type = koffi.pointer(alpnPrototype(this.#openssl))
    this.#alpnCallback = koffi.register(choose, type)
    const setCallback = library.func('SSL_CTX_set_alpn_select_cb', 'void', [
      'uintptr_t',
      type,
      'uintptr_t',
    ]) as unknown as (context: number, callback: bigint, argument: number) => void
    setCallback(this.#pointer, this.#alpnCallback, 0)
  }
}

/** @returns the list as RFC 7301 writes it, in memory that does not move */
export function alpnWire(protocols: readonly string[]): Uint8Array {
  const parts = protocols.map((protocol) => {
    const bytes = Buffer.from(protocol, 'latin1')
    return Buffer.concat([Buffer.of(bytes.length), bytes])
  })
  const whole = Buffer.concat(parts)
  const memory = new Uint8Array(new ArrayBuffer(Math.max(whole.length, 1)), 0, whole.length)
  memory.set(whole)
  return memory
}

function verifyMode({ role, verify, clientCertificates }: TlsContextSettings): number {
  if (role === 'client') return verify ? VERIFY_PEER : VERIFY_NONE
  if (clientCertificates === 'none') return VERIFY_NONE
  return clientCertificates === 'request' ? VERIFY_PEER : VERIFY_PEER | VERIFY_FAIL_IF_NO_PEER_CERT
}

function pemCertificates(pem: string | Uint8Array): string[] {
  const text = typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1')
  const found = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)
  if (found === null) throw new UsageError('ERR_CONFIG', 'ca: there is no certificate in it')
  return found
}

/** One for the thread: types of koffi are never freed. */
function alpnPrototype(openssl: Openssl): object {
  prototype ??= openssl.koffi.proto('int', [
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
    'uint32_t',
    'uintptr_t',
  ])
  return prototype
}

let prototype: object | undefined

const SESSION_CONTEXT: Uint8Array = Buffer.from('heddle-quic')
const NEGOTIATED = 1
const ALPN_OK = 0
const ALPN_FATAL = 2
