/**
 * The server's side of handshakes, over sockets or any other streams: bounded in number and time,
 * with certificates that can be exchanged while it runs.
 *
 * Made of `TLSSocket`s rather than a `tls.Server`, because a server does not tell which TLS socket
 * belongs to which stream. That is needed: destroying a socket under a `TLSSocket` and then the
 * `TLSSocket` itself, in one tick, is a segmentation fault in Node 22 to 26, so handshakes must be
 * ended from above.
 */
import type { Duplex } from 'node:stream'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { Clock, Timer } from '../../core/clock.ts'
import { OverloadError, TransportError, toError, UsageError } from '../../core/errors.ts'
import type { CertificateInfo } from './certificate-check.ts'
import { matchesPins, pinOf } from './certificate-pins.ts'
import { handshakeError } from './handshake-errors.ts'
import type { KeyLog } from './key-log.ts'
import { type ServerContexts, serverContexts } from './secure-contexts.ts'
import { fixedTicketKeys, rotatingTicketKeys, type TicketKeySource } from './ticket-keys.ts'
import type { ResolvedTlsOptions, TlsPeer, TlsServerCredentials } from './tls-options.ts'

export interface HandshakerOwner {
  onSecure(socket: TLSSocket, stream: Duplex): void
  onError(error: Error, stream: Duplex): void
  describePeer(socket: TLSSocket): Omit<TlsPeer, 'role'>
  /** Who is at the other end of the stream, for messages. */
  nameOf(stream: Duplex): string
  /** What is offered where the options say nothing. */
  readonly alpn?: readonly string[] | undefined
}

interface Handshake {
  readonly stream: Duplex
  readonly name: string
  readonly until: number
}

export class ServerHandshaker {
  readonly #owner: HandshakerOwner
  readonly #clock: Clock
  readonly #keyLog: KeyLog | undefined
  /** Oldest first, which is also the first to run out of time. */
  readonly #handshakes = new Map<TLSSocket, Handshake>()
  #options: ResolvedTlsOptions
  #contexts: ServerContexts
  #shown: TlsServerCredentials
  #ticketKeys: TicketKeySource
  #unsubscribe: (() => void) | undefined
  #timer: Timer | undefined

  /** @throws UsageError ERR_CONFIG for credentials that cannot be used */
  constructor(
    options: ResolvedTlsOptions,
    clock: Clock,
    keyLog: KeyLog | undefined,
    owner: HandshakerOwner,
  ) {
    this.#options = options
    this.#owner = owner
    this.#clock = clock
    this.#keyLog = keyLog
    this.#shown = shownBy(options)
    this.#ticketKeys = ticketKeySource(options.ticketKeys) ?? rotatingTicketKeys({ clock })
    this.#contexts = serverContexts(options, this.#shown, this.#ticketKeys)
    this.#follow()
  }

  /** What new handshakes show. */
  get certificates(): readonly CertificateInfo[] {
    return this.#contexts.certificates
  }

  /** Handshakes under way. */
  get pending(): number {
    return this.#handshakes.size
  }

  /** Begins a handshake. The stream is the handshaker's, until it comes back secure or not at all. */
  accept(stream: Duplex): void {
    const { maxHandshakes, clientCertificates, handshakeTimeoutMs } = this.#options
    const alpn = this.#options.alpn ?? this.#owner.alpn
    const name = this.#owner.nameOf(stream)
    if (this.pending >= maxHandshakes) {
      const message = `${name} was refused: ${maxHandshakes} TLS handshakes are under way`
      stream.on('error', ignore)
      stream.destroy()
      return this.#owner.onError(new OverloadError('ERR_LIMITED', message), stream)
    }
    const socket = new TLSSocket(stream, {
      isServer: true,
      secureContext: this.#contexts.main,
      requestCert: clientCertificates !== 'none',
      rejectUnauthorized: clientCertificates === 'require',
      SNICallback: this.#findContext,
      ...(alpn !== undefined && { ALPNProtocols: [...alpn] }),
    })
    this.#handshakes.set(socket, { stream, name, until: this.#clock.now() + handshakeTimeoutMs })
    if (this.#keyLog !== undefined) socket.on('keylog', (line) => this.#keyLog?.write(line))
    socket.on('secure', () => this.#onSecure(socket))
    socket.on('error', (error) => this.#fail(socket, error))
    // A client that ends before it is secure is gone, though it may half-close afterwards.
    socket.on('end', () => this.#fail(socket, hangUp()))
    socket.on('close', () => this.#fail(socket, hangUp()))
    this.#timer ??= this.#armTimer()
  }

  /**
   * New handshakes show these; connections that exist go on as they are.
   *
   * @throws UsageError ERR_CONFIG; the old credentials stay then
   */
  reload(shown: TlsServerCredentials): void {
    this.#contexts = serverContexts(this.#options, shown, this.#ticketKeys)
    this.#shown = shown
  }

  /**
   * Other options from the next handshake on. Everything that can fail has been done when this
   * returns; what it returns only puts the result in place.
   *
   * @throws UsageError ERR_CONFIG; nothing has changed then
   */
  prepare(options: ResolvedTlsOptions): () => void {
    const shown = shownBy(options)
    const ticketKeys = ticketKeySource(options.ticketKeys) ?? this.#ticketKeys
    const contexts = serverContexts(options, shown, ticketKeys)
    return () => {
      this.#options = options
      this.#shown = shown
      this.#ticketKeys = ticketKeys
      this.#contexts = contexts
      this.#follow()
    }
  }

  /** Sessions whose tickets the new keys do not decrypt are not resumed any more. */
  setTicketKeys(keys: Uint8Array | TicketKeySource): void {
    this.#ticketKeys = ticketKeySource(keys)
    this.reload(this.#shown)
  }

  /** Nobody begins a handshake any more. */
  dispose(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  /** Ends what is under way, untold: whoever calls this has a reason of their own. */
  destroyPending(): void {
    for (const socket of this.#handshakes.keys()) {
      this.#handshakes.delete(socket)
      socket.destroy()
    }
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Shows what the source of certificates has, now and whenever that changes. */
  #follow(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = this.#options.certificates?.onChange((shown) => {
      try {
        this.reload(shown)
      } catch {
        // The source has checked them; what only these options refuse (ciphers) stays as it was.
      }
    })
  }

  readonly #findContext = (
    serverName: string,
    done: (error: Error | null, context?: SecureContext) => void,
  ): void => done(null, this.#contexts.find(serverName))

  #onSecure(socket: TLSSocket): void {
    const handshake = this.#handshakes.get(socket)
    if (handshake === undefined) return
    const refused = this.#checkPeer(socket, handshake.name)
    if (refused !== undefined) return this.#refuse(socket, handshake, refused)
    this.#handshakes.delete(socket)
    // From here on errors are those of a connection: without this Node keeps them to itself.
    ;(socket as unknown as { _releaseControl?(): void })._releaseControl?.()
    socket.allowHalfOpen = true
    this.#owner.onSecure(socket, handshake.stream)
  }

  #checkPeer(socket: TLSSocket, name: string): Error | undefined {
    const { clientCertificates, verifyPeer, pins } = this.#options
    if (clientCertificates !== 'none') {
      const problem = certificateProblem(socket)
      socket.authorized = problem === undefined
      if (problem !== undefined && clientCertificates === 'require') {
        return handshakeError(problem, name)
      }
    }
    const raw = pins === undefined ? undefined : socket.getPeerCertificate().raw
    if (pins !== undefined && raw !== undefined && !matchesPins(socket, pins)) {
      const message = `${name}: none of its public keys is pinned; its own is ${pinOf(raw)}`
      return new TransportError('ERR_TLS', message, { sent: 'nothing' })
    }
    if (verifyPeer === undefined) return undefined
    let cause: Error | undefined
    try {
      cause = verifyPeer({ ...this.#owner.describePeer(socket), role: 'client' })
    } catch (thrown) {
      cause = toError(thrown)
    }
    if (cause === undefined) return undefined
    const message = `${name}: refused by verifyPeer: ${cause.message}`
    return new TransportError('ERR_TLS', message, { cause, sent: 'nothing' })
  }

  #fail(socket: TLSSocket, cause: Error): void {
    const handshake = this.#handshakes.get(socket)
    if (handshake === undefined) return
    this.#refuse(socket, handshake, handshakeError(cause, handshake.name))
  }

  #refuse(socket: TLSSocket, handshake: Handshake, error: Error): void {
    this.#handshakes.delete(socket)
    socket.destroy()
    this.#owner.onError(error, handshake.stream)
  }

  /** One timer for all: it waits for the oldest, and then for the next. */
  #armTimer(): Timer | undefined {
    for (const { until } of this.#handshakes.values()) {
      const timer = this.#clock.setTimer(until, () => this.#onTimer())
      timer.unref()
      return timer
    }
    return undefined
  }

  #onTimer(): void {
    const now = this.#clock.now()
    for (const [socket, { until }] of this.#handshakes) {
      if (until > now) break
      const error: NodeJS.ErrnoException = new Error('TLS handshake timeout')
      error.code = 'ERR_TLS_HANDSHAKE_TIMEOUT'
      this.#fail(socket, error)
    }
    this.#timer = this.#armTimer()
  }
}

function shownBy({ credentials, serverNames, certificates }: ResolvedTlsOptions) {
  if (certificates !== undefined) return certificates.current
  if (credentials === undefined) {
    throw new UsageError('ERR_ARGUMENT', 'tls needs credentials or certificates to be a server')
  }
  return { credentials, ...(serverNames !== undefined && { serverNames }) }
}

function ticketKeySource(keys: Uint8Array | TicketKeySource): TicketKeySource
function ticketKeySource(
  keys: Uint8Array | TicketKeySource | undefined,
): TicketKeySource | undefined
function ticketKeySource(
  keys: Uint8Array | TicketKeySource | undefined,
): TicketKeySource | undefined {
  return keys instanceof Uint8Array ? fixedTicketKeys(keys) : keys
}

/**
 * Why the client's certificate does not count. What a `tls.Server` asks as well; the handle's answer
 * is not in Node's documentation, so without it nobody is let in.
 */
function certificateProblem(socket: TLSSocket): Error | undefined {
  const { ssl } = socket as unknown as { ssl?: { verifyError?(): Error | null | undefined } }
  if (typeof ssl?.verifyError !== 'function') return new Error('this Node cannot verify clients')
  const error = ssl.verifyError()
  if (error !== null && error !== undefined) return error
  // OpenSSL is content with a session that was resumed without any certificate.
  if (socket.getPeerX509Certificate() !== undefined) return undefined
  const missing: NodeJS.ErrnoException = new Error('no client certificate')
  missing.code = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'
  return missing
}

function hangUp(): Error {
  const error: NodeJS.ErrnoException = new Error('socket hang up')
  error.code = 'ECONNRESET'
  return error
}

function ignore(): void {}
