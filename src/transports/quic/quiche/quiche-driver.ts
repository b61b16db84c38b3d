/**
 * The second driver: quiche in the addon of `@currentspace/http3`, for unreliable datagrams.
 *
 * Its runtime is `portable` (poll): `fast` wants io_uring, and `wasm` was measured to corrupt data.
 * Nothing falls back from one to another.
 */
import { createPrivateKey } from 'node:crypto'
import { isIP } from 'node:net'
import { getCACertificates } from 'node:tls'
import { type Address, bracketHost, formatAddress, ip } from '../../../core/address.ts'
import { ClosedError, TransportError, toError, UsageError } from '../../../core/errors.ts'
import { reveal } from '../../../core/secret.ts'
import { defer, warn } from '../../../platform/process-access.ts'
import { connectError, listenError, systemError } from '../../node-stream/system-errors.ts'
import { checkCredentials } from '../../tls/certificate-check.ts'
import type { TlsCredentials } from '../../tls/tls-options.ts'
import { refuseForClient, refuseForServer } from '../driver-limits.ts'
import type {
  CarrierFamily,
  DrivenConnection,
  DrivenSettings,
  QuicDriver,
  QuicEndpoint,
  QuicServer,
} from '../quic-driver.ts'
import type { ResolvedQuicOptions } from '../quic-options.ts'
import { resolveHost } from '../resolve-host.ts'
import {
  type NativeClient,
  type NativeEvent,
  type NativeServer,
  NEW_SESSION,
  type QuicheBinding,
  SESSION_CLOSE,
  WRITE_READY,
} from './binding.ts'
import { checkWireCode } from './quiche-codes.ts'
import { QuicheConnection, type QuicheConnectionOptions } from './quiche-connection.ts'
import { ClientLink, ServerLink } from './quiche-link.ts'
import { QuicheWorker } from './quiche-worker.ts'

export class QuicheDriver implements QuicDriver {
  readonly name = 'quiche'
  readonly #binding: QuicheBinding
  readonly #options: ResolvedQuicOptions

  constructor(binding: QuicheBinding, options: ResolvedQuicOptions) {
    this.#binding = binding
    this.#options = options
  }

  async openClient(family: CarrierFamily): Promise<QuicEndpoint> {
    refuseForClient(this.#options)
    if (family === 'other') {
      throw new UsageError('ERR_ADDRESS_INVALID', "driver 'quiche' reaches IP addresses only")
    }
    return new QuicheClients(this.#binding, this.#options)
  }

  async openServer(address: Address, server: QuicServer): Promise<readonly QuicEndpoint[]> {
    refuseForServer(this.#options)
    if (this.#options.credentials === undefined) {
      const message = 'quic needs credentials to listen: a certificate and its key'
      throw new UsageError('ERR_ARGUMENT', message)
    }
    if (address.kind !== 'ip') {
      throw new UsageError('ERR_ADDRESS_INVALID', "driver 'quiche' listens on IP addresses only")
    }
    const { host, port } = await resolveHost(address)
    return [new QuicheServer(this.#binding, this.#options, ip(host, port), server)]
  }
}

/** Where connections are dialled from: each has a native object, a socket and a thread. */
class QuicheClients implements QuicEndpoint {
  readonly local: Address = ip('0.0.0.0', 0)
  isClosed = false
  readonly #binding: QuicheBinding
  readonly #options: ResolvedQuicOptions
  readonly #native: object
  readonly #connections = new Map<QuicheConnection, QuicheWorker<NativeClient>>()
  readonly #stopping = new Set<Promise<void>>()

  constructor(binding: QuicheBinding, options: ResolvedQuicOptions) {
    this.#binding = binding
    this.#options = options
    const { verify, credentials } = options
    this.#native = {
      ...commonOptions(options),
      rejectUnauthorized: verify,
      ...(verify && { ca: trusted(options) }),
      ...(credentials !== undefined && nativeCredentials(credentials)),
    }
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  dial(_session: Uint8Array | undefined, settings: DrivenSettings): DrivenConnection {
    const { remote, serverName = '' } = settings
    const name = nameToAsk(serverName, this.#options.verify, remote)
    const { host, port } = remote as { host: string; port: number }
    let connection: QuicheConnection | undefined
    const worker = new QuicheWorker<NativeClient>(
      (callback) => new this.#binding.NativeQuicClient(this.#native, callback),
      (event) => {
        if (event.eventType === WRITE_READY) connection?.onWriteReady()
        else connection?.onEvent(event)
      },
    )
    try {
      const local = worker.native.connect(`${bracketHost(host)}:${port}`, name)
      worker.started()
      const link = new ClientLink(worker.native, ip(local.address, local.port), () => {
        if (connection !== undefined) this.#release(connection, worker)
      })
      const options = connectionOptions(this.#options, this.#options.verify)
      connection = new QuicheConnection(link, settings, options)
      this.#connections.set(connection, worker)
      return connection
    } catch (error) {
      void worker.stop()
      throw connectError(nativeError(toError(error), 'connect'), remote)
    }
  }

  hold(): void {}

  release(): void {}

  async close(reason: Error): Promise<void> {
    this.isClosed = true
    for (const connection of [...this.#connections.keys()]) connection.fail(reason)
    await Promise.all(this.#stopping)
  }

  #release(connection: QuicheConnection, worker: QuicheWorker<NativeClient>): void {
    this.#connections.delete(connection)
    const stopping = worker.stop()
    this.#stopping.add(stopping)
    void stopping.then(() => this.#stopping.delete(stopping))
  }
}

class QuicheServer implements QuicEndpoint {
  readonly local: Address
  isClosed = false
  readonly #options: ResolvedQuicOptions
  readonly #server: QuicServer
  readonly #worker: QuicheWorker<NativeServer>
  /** By the number they have now. */
  readonly #connections = new Map<number, QuicheConnection>()

  /** @throws TransportError when the address cannot be had */
  constructor(
    binding: QuicheBinding,
    options: ResolvedQuicOptions,
    address: Address & { kind: 'ip' },
    server: QuicServer,
  ) {
    this.#options = options
    this.#server = server
    const { clientCertificates, retry, maxHandshakes } = options
    const native = {
      ...commonOptions(options),
      ...nativeCredentials(options.credentials as TlsCredentials),
      clientAuth: clientCertificates,
      ...(clientCertificates !== 'none' && { ca: trusted(options) }),
      disableRetry: !retry,
      disableActiveMigration: true,
      maxConnections: MAX_CONNECTIONS + maxHandshakes,
    }
    this.#worker = new QuicheWorker<NativeServer>(
      (callback) => new binding.NativeQuicServer(native, callback),
      (event) => this.#onEvent(event),
    )
    try {
      const local = this.#worker.native.listen(address.port, address.host)
      this.#worker.started()
      this.local = ip(local.address, local.port)
    } catch (error) {
      void this.#worker.stop()
      throw listenError(nativeError(toError(error), 'bind'), address)
    }
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Only a client dials. */
  dial(): never {
    throw new UsageError('ERR_STATE', 'a socket of a listener dials nobody')
  }

  hold(): void {}

  /** The addon's thread keeps the process alive until the listener is closed. */
  release(): void {
    // A listener that closes lets go first.
    defer(() => {
      if (!this.isClosed) tellUnreferenced(this.#options)
    })
  }

  async close(reason: Error): Promise<void> {
    this.isClosed = true
    for (const connection of [...this.#connections.values()]) connection.fail(reason)
    await this.#worker.stop()
  }

  #onEvent(event: NativeEvent): void {
    const { eventType, connHandle } = event
    if (eventType === NEW_SESSION) return this.#accept(event)
    // Of which connection it speaks, its number does not say for certain.
    if (eventType === WRITE_READY) {
      for (const connection of [...this.#connections.values()]) connection.onWriteReady()
      return
    }
    const connection = this.#connections.get(connHandle)
    if (eventType === SESSION_CLOSE) this.#connections.delete(connHandle)
    connection?.onEvent(event)
  }

  #accept({ connHandle, meta }: NativeEvent): void {
    const remote = ip(meta?.remoteAddr ?? '', meta?.remotePort ?? 0)
    const { native } = this.#worker
    const settings = this.isClosed ? CLOSED : this.#server.onIncoming(remote)
    if (settings instanceof Error) {
      native.closeSession(
        connHandle,
        checkWireCode(this.#options.codeOf(settings)),
        settings.message,
      )
      return
    }
    const link = new ServerLink(native, connHandle, this.local)
    const verifies = this.#options.clientCertificates !== 'none'
    const options = connectionOptions(this.#options, verifies)
    const connection = new QuicheConnection(link, settings, options)
    this.#connections.set(connHandle, connection)
    this.#server.onCreated(connection, settings)
  }
}

function connectionOptions(
  options: ResolvedQuicOptions,
  verifies: boolean,
): QuicheConnectionOptions {
  const { alpn, unreliableDatagrams = false, maxUnreadBytes, maxPausedDatagrams } = options
  const { keepAliveMs = options.idleTimeoutMs / KEEP_ALIVES } = options
  return {
    alpn: alpn[0] as string,
    verifies,
    unreliableDatagrams,
    maxUnreadBytes,
    maxPausedDatagrams,
    keepAliveMs,
    tellUnreferenced: () => tellUnreferenced(options),
  }
}

function commonOptions(options: ResolvedQuicOptions): object {
  const { initialMaxData = WINDOW_BYTES, initialMaxStreamData = STREAM_WINDOW_BYTES } = options
  return {
    alpn: [...options.alpn],
    runtimeMode: 'portable',
    maxIdleTimeoutMs: options.idleTimeoutMs,
    initialMaxData,
    initialMaxStreamDataBidiLocal: initialMaxStreamData,
    initialMaxStreamsBidi: options.maxConcurrentStreams,
    enableDatagrams: options.unreliableDatagrams === true,
  }
}

/** @throws UsageError ERR_CONFIG for what the addon would refuse in other words */
function nativeCredentials(credentials: TlsCredentials): { cert: Buffer; key: Buffer } {
  checkCredentials(credentials, credentials.name ?? 'credentials')
  const { certificate, key, passphrase } = credentials
  const plain = createPrivateKey({
    key: typeof key === 'string' ? key : Buffer.from(key),
    ...(passphrase !== undefined && { passphrase: reveal(passphrase) }),
  })
  const pem = plain.export({ type: 'pkcs8', format: 'pem' })
  return { cert: Buffer.from(certificate), key: Buffer.from(pem) }
}

/** It trusts nobody by itself. */
function trusted({ ca }: ResolvedQuicOptions): Buffer {
  const list = ca === undefined ? getCACertificates('default') : [ca].flat()
  return Buffer.concat(list.flatMap((pem) => [Buffer.from(pem as string), Buffer.from('\n')]))
}

/** @throws UsageError for a name that quiche cannot check */
function nameToAsk(serverName: string, verify: boolean, remote: Address): string {
  if (serverName !== '' && (!verify || isIP(serverName) === 0)) return serverName
  if (!verify) return 'localhost'
  // It looks for names only: a certificate for this address would be refused as well.
  const where = serverName === '' ? formatAddress(remote) : serverName
  const message = `${where}: driver 'quiche' checks certificates for names, not for addresses: pass serverName`
  throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
}

/** `[h3:io|errno=98] IO error: …`, as Node would have said it. */
function nativeError(error: Error, call: string): Error {
  const errno = /\|errno=(\d+)/.exec(error.message)?.[1]
  if (errno !== undefined) return systemError(-Number(errno), call)
  return new TransportError('ERR_CONNECT', error.message, { cause: error, sent: 'nothing' })
}

function tellUnreferenced(options: ResolvedQuicOptions): void {
  if (told.has(options)) return
  told.add(options)
  const reason = 'its threads keep the process alive until connections and listeners are closed'
  const { onWarning } = options
  if (onWarning !== undefined) onWarning({ option: 'driver', value: 'quiche', reason })
  else warn(`quic: unref has no effect on driver quiche: ${reason}`, 'HEDDLE_QUIC_driver')
}

const told = new WeakSet<object>()
const CLOSED = new ClosedError('ERR_CLOSED', 'the listener is closed')
/** PINGs within an idle timeout: one may be lost. */
const KEEP_ALIVES = 3
const WINDOW_BYTES = 10_000_000
const STREAM_WINDOW_BYTES = 1_000_000
/** The addon drops newcomers above it without a word. */
const MAX_CONNECTIONS = 100_000
