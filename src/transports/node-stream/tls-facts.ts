/**
 * Facts of a connection on a `TLSSocket`. The cheap ones are read once when the handshake is over;
 * the certificate is parsed when somebody asks.
 */
import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { ConnectionRole, PeerCertificate, TlsFacts } from '../../core/connection.ts'
import { type EndNames, SocketFacts } from './socket-facts.ts'

export class TlsSocketFacts extends SocketFacts {
  readonly #tls: SocketTls

  constructor(
    transport: string,
    role: ConnectionRole,
    capabilities: number,
    names: EndNames,
    socket: TLSSocket,
    serverName?: string,
  ) {
    super(transport, role, capabilities, names)
    this.#tls = new SocketTls(socket, serverName)
  }

  override get tls(): TlsFacts {
    return this.#tls
  }

  override capture(): void {
    super.capture()
    this.#tls.capture()
  }
}

export class SocketTls implements TlsFacts {
  readonly version: string
  readonly cipher: string
  readonly alpn: string | undefined
  readonly serverName: string | undefined
  readonly authorized: boolean
  readonly resumed: boolean
  readonly #socket: TLSSocket
  #certificate: X509Certificate | undefined
  #captured = false

  constructor(socket: TLSSocket, serverName: string | undefined) {
    this.#socket = socket
    this.version = socket.getProtocol() ?? ''
    this.cipher = socket.getCipher()?.name ?? ''
    this.alpn = socket.alpnProtocol || undefined
    this.serverName = serverName ?? serverNameOf(socket)
    this.authorized = socket.authorized
    this.resumed = socket.isSessionReused()
  }

  peerCertificate(): PeerCertificate | undefined {
    this.capture()
    return this.#certificate && described(this.#certificate)
  }

  /** The peer's certificate and its issuers, as far as Node knows them. */
  chain(): readonly PeerCertificate[] {
    this.capture()
    // Node 22 knows the issuers by one of two ways only: a client's by this one, a server's by the other.
    const linked = walk(this.#certificate, (one) => one.issuerCertificate)
    const listed = walk(this.#detailed(), (one) => one.issuerCertificate)
    const longer = listed.length > linked.length
    return longer
      ? listed.map(({ raw }) => described(new X509Certificate(raw)))
      : linked.map(described)
  }

  #detailed(): DetailedPeerCertificate | undefined {
    const certificate = this.#socket.getPeerCertificate(true)
    return certificate?.raw === undefined ? undefined : certificate
  }

  /** Only takes the certificate out of the session; parsing it waits. */
  capture(): void {
    if (this.#captured) return
    this.#captured = true
    this.#certificate = this.#socket.getPeerX509Certificate()
  }
}

/** Each once: a root is its own issuer. */
function walk<One extends { readonly fingerprint256: string }>(
  first: One | undefined,
  issuerOf: (one: One) => One | undefined,
): One[] {
  const found = new Map<string, One>()
  for (let next = first; next !== undefined && !found.has(next.fingerprint256); ) {
    found.set(next.fingerprint256, next)
    next = issuerOf(next)
  }
  return [...found.values()]
}

function described(certificate: X509Certificate): PeerCertificate {
  return Object.freeze({
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    subjectAltName: certificate.subjectAltName,
    fingerprint256: certificate.fingerprint256,
    validFrom: certificate.validFrom,
    validTo: certificate.validTo,
    raw: new Uint8Array(certificate.raw),
  })
}

/** Node gives one attribute a line. */
function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}

/** `servername` is not in Node's types: the name a client sent, or false. */
function serverNameOf(socket: TLSSocket): string | undefined {
  const { servername } = socket as unknown as { servername?: string | false }
  return servername || undefined
}
