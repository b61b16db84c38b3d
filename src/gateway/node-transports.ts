/**
 * The gateway's transports on Node: TCP and Unix sockets, TLS over either or over what was looked at
 * first.
 */
import { createSecureContext } from 'node:tls'
import type { Clock } from '../core/clock.ts'
import { toError, UsageError } from '../core/errors.ts'
import type { Transport } from '../core/transport.ts'
import { createDevCertificate, type DevCertificate } from '../security/dev-certificate.ts'
import { type TlsTransport, tls } from '../transports/tls/tls.ts'
import type { TlsCredentials } from '../transports/tls/tls-options.ts'
import { durationMs } from './config/quantity.ts'
import type { UpstreamTlsConfig } from './config/schema/cluster.ts'
import type { ListenerTlsConfig } from './config/schema/listener.ts'
import type { GatewayFiles } from './gateway-files.ts'
import { type GatewayTransports, plainTransport } from './transports.ts'

export function nodeTransports(clock: Clock): GatewayTransports {
  return new NodeTransports(clock)
}

class NodeTransports implements GatewayTransports {
  readonly #clock: Clock
  readonly #plain: Transport
  /** One for the process: browsers are asked to trust it once. */
  #development: Promise<DevCertificate> | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#plain = plainTransport(clock)
  }

  plain(unixMode: number | undefined): Transport {
    return unixMode === undefined ? this.#plain : plainTransport(this.#clock, unixMode)
  }

  async serverTls(
    config: ListenerTlsConfig,
    files: GatewayFiles,
    inner: Transport | undefined,
  ): Promise<Transport> {
    const { fallback, serverNames } = await this.#certificates(config, files)
    const ca = config.client_ca_file
    return this.#tls({
      ...(inner !== undefined && { inner }),
      credentials: fallback,
      serverNames,
      minVersion: config.min_version,
      alpn: ['http/1.1'],
      handshakeTimeoutMs: durationMs(config.handshake_timeout),
      clientCertificates:
        ca === undefined ? 'none' : config.require_client_certificate ? 'require' : 'request',
      ...(ca !== undefined && { ca: files.text(ca) }),
    })
  }

  async clientTls(
    config: UpstreamTlsConfig,
    files: GatewayFiles,
    inner: Transport | undefined,
  ): Promise<Transport> {
    const { ca_file: ca, cert_file: cert, key_file: key } = config
    return this.#tls({
      ...(inner !== undefined && { inner }),
      alpn: ['http/1.1'],
      minVersion: config.min_version,
      verify: config.verify,
      ...(ca !== undefined && { ca: files.text(ca) }),
      ...(cert !== undefined &&
        key !== undefined && {
          credentials: { certificate: files.text(cert), key: files.text(key) },
        }),
      ...(config.server_name !== undefined && { serverName: config.server_name }),
    })
  }

  #tls(options: Parameters<typeof tls>[0]): TlsTransport {
    return tls({ clock: this.#clock, ...options })
  }

  async #certificates(
    config: ListenerTlsConfig,
    files: GatewayFiles,
  ): Promise<{ fallback: TlsCredentials; serverNames: Record<string, TlsCredentials> }> {
    const serverNames: Record<string, TlsCredentials> = {}
    let fallback: TlsCredentials | undefined
    for (const one of config.certificates) {
      const secret = one.passphrase_file
      const passphrase =
        secret === undefined ? one.passphrase : files.text(secret).replace(/\r?\n$/, '')
      const credentials: TlsCredentials = {
        certificate: files.text(one.cert_file),
        key: files.text(one.key_file),
        ...(passphrase !== undefined && { passphrase }),
      }
      checkCredentials(credentials, one.cert_file, one.key_file)
      for (const name of one.server_names ?? []) serverNames[name] = credentials
      if (one.server_names === undefined) fallback ??= credentials
    }
    const { certificates, development } = config
    if (fallback === undefined && certificates[0] !== undefined && !development) {
      // Every certificate names its hosts: who asks for another one gets the first.
      fallback = serverNames[certificates[0].server_names?.[0] ?? '']
    }
    fallback ??= await this.#developmentCertificate()
    return { fallback, serverNames }
  }

  async #developmentCertificate(): Promise<TlsCredentials> {
    this.#development ??= createDevCertificate(this.#clock)
    const { certificate, key } = await this.#development
    return { certificate, key }
  }
}

/** Says which files are wrong; without names nobody finds one bad key among many. */
function checkCredentials(credentials: TlsCredentials, certFile: string, keyFile: string): void {
  const { certificate: cert, key, passphrase } = credentials
  try {
    createSecureContext({
      cert: cert as string,
      key: key as string,
      ...(passphrase !== undefined && { passphrase }),
    })
  } catch (cause) {
    const message = `${certFile} and ${keyFile} cannot be used: ${toError(cause).message}`
    throw new UsageError('ERR_CONFIG', message, { cause })
  }
}
