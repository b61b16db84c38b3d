/**
 * The first driver: OpenSSL inside Node.
 */
import { type Address, ip, memory } from '../../../core/address.ts'
import type { DatagramTransport } from '../../../core/datagram-socket.ts'
import { OverloadError, UsageError } from '../../../core/errors.ts'
import { isMainThread, operatingSystem } from '../../../platform/process-access.ts'
import { udp } from '../../udp/udp.ts'
import type {
  CarrierFamily,
  DrivenConnection,
  DrivenSettings,
  QuicDriver,
  QuicEndpoint,
  QuicServer,
} from '../quic-driver.ts'
import { defaultCodeOf } from '../quic-errors.ts'
import type { ResolvedQuicOptions } from '../quic-options.ts'
import type { Attachment } from './attachment.ts'
import { CarrierAttachment } from './carrier-attachment.ts'
import { ConnectionHandle } from './connection-handle.ts'
import { DescriptorAttachment } from './descriptor-attachment.ts'
import { dialConnection } from './dial.ts'
import { Endpoint } from './endpoint.ts'
import type { Openssl } from './openssl.ts'
import { OpensslConnection } from './quic-connection.ts'
import { TlsContext } from './tls-context.ts'

export class OpensslDriver implements QuicDriver {
  readonly name = 'openssl'
  readonly #openssl: Openssl
  readonly #options: ResolvedQuicOptions
  #clientContext: TlsContext | undefined
  #clients = 0
  #sockets: DatagramTransport | undefined

  constructor(openssl: Openssl, options: ResolvedQuicOptions) {
    this.#openssl = openssl
    this.#options = options
  }

  async openClient(family: CarrierFamily): Promise<QuicEndpoint> {
    const attachment = await this.#attach(ANY_ADDRESS[family], 'only')
    let context: TlsContext
    try {
      context = this.#clientContext ??= this.#context('client')
    } catch (error) {
      await attachment.close()
      throw error
    }
    this.#clients += 1
    // Nobody closes a transport: what it holds goes with its last socket.
    const onFree = (): void => {
      this.#clients -= 1
      if (this.#clients > 0) return
      context[Symbol.dispose]()
      this.#clientContext = undefined
    }
    const options = { listens: false, retry: false, onFree }
    return new OpensslEndpoint(this.#openssl, context, attachment, options)
  }

  async openServer(address: Address, server: QuicServer): Promise<readonly QuicEndpoint[]> {
    const { credentials, retry, carrier } = this.#options
    if (credentials === undefined) {
      const message = 'quic needs credentials to listen: a certificate and its key'
      throw new UsageError('ERR_ARGUMENT', message)
    }
    const shares = carrier === undefined && operatingSystem === 'linux' && isMainThread
    const count = shares ? this.#options.endpoints : 1
    const context = this.#context('server')
    const attachments: Attachment[] = []
    try {
      for (let index = 0; index < count; index++) {
        const share = count === 1 ? 'only' : index === 0 ? 'first' : 'next'
        attachments.push(await this.#attach(attachments[0]?.local ?? address, share))
      }
    } catch (error) {
      for (const attachment of attachments) await attachment.close()
      context[Symbol.dispose]()
      throw error
    }
    let left = count
    return attachments.map((attachment) => {
      if (attachment instanceof DescriptorAttachment && count > 1) attachment.closeShare()
      const endpoint: OpensslEndpoint = new OpensslEndpoint(this.#openssl, context, attachment, {
        listens: true,
        retry,
        onIncoming: (ssl, from) => endpoint.accept(ssl, from, server),
        onFailed: (error) => server.onFailed(error),
        onFree() {
          left -= 1
          if (left === 0) context[Symbol.dispose]()
        },
      })
      return endpoint
    })
  }

  #context(role: 'client' | 'server'): TlsContext {
    const { alpn, ca, credentials, verify, clientCertificates } = this.#options
    const list = ca === undefined ? undefined : typeof ca === 'string' ? [ca] : [ca].flat()
    return new TlsContext(this.#openssl, {
      role,
      alpn,
      ca: list as readonly (string | Uint8Array)[] | undefined,
      credentials,
      verify,
      clientCertificates,
    })
  }

  async #attach(address: Address, share: PortShare): Promise<Attachment> {
    const { carrier } = this.#options
    if (carrier !== undefined) {
      return new CarrierAttachment(this.#openssl, await carrier.bind(address))
    }
    // A worker can be ended at any moment, and an open poll of a descriptor would then take the
    // process with it: sockets of Node close in order.
    if (operatingSystem === 'linux' && isMainThread) {
      return DescriptorAttachment.bind(this.#openssl, address, share)
    }
    this.#sockets ??= udp()
    return new CarrierAttachment(this.#openssl, await this.#sockets.bind(address))
  }
}

/** The place of a socket among those that share a port. */
export type PortShare = 'only' | 'first' | 'next'

class OpensslEndpoint extends Endpoint implements QuicEndpoint {
  get local(): Address {
    return this.attachment.local
  }

  get connectionCount(): number {
    return this.connections.size
  }

  dial(session: Uint8Array | undefined, settings: DrivenSettings): DrivenConnection {
    return dialConnection(this, session, settings)
  }

  accept(ssl: number, from: Address | undefined, server: QuicServer): void {
    const answer = from === undefined ? NOWHERE : server.onIncoming(from)
    const remote = from ?? memory('unknown')
    const settings = answer instanceof Error ? { ...REFUSED, remote } : answer
    new ConnectionHandle(this.openssl, ssl).prepare(settings.idleTimeoutMs)
    const connection = new OpensslConnection(this, ssl, this.attachment.peer(remote), settings)
    if (answer instanceof Error) connection.fail(answer)
    else server.onCreated(connection, answer)
  }
}

const ANY_ADDRESS: Readonly<Record<CarrierFamily, Address>> = {
  ipv4: ip('0.0.0.0', 0),
  ipv6: ip('::', 0),
  other: memory('0'),
}
/** Of a connection that only lives to be told that it was refused. */
const REFUSED: Omit<DrivenSettings, 'remote'> = Object.freeze({
  transport: 'quic',
  role: 'accepting',
  serverName: undefined,
  ownAlpn: undefined,
  idleTimeoutMs: 1_000,
  highWaterMarkBytes: 0,
  maxAcceptedStreams: 0,
  maxConcurrentStreams: 0,
  codeOf: defaultCodeOf,
  onSettled() {},
})
const NOWHERE = new OverloadError('ERR_LIMITED', 'nobody knows where it is from')
