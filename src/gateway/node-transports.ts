/**
 * The gateway's transports on Node: TCP and Unix sockets, TLS over either or over what was looked at
 * first.
 */
import type { Clock } from '../core/clock.ts'
import type { Transport } from '../core/transport.ts'
import { createDevCertificate, type DevCertificate } from '../security/dev-certificate.ts'
import { rotatingTicketKeys, type TicketKeySource } from '../transports/tls/ticket-keys.ts'
import { type TlsTransport, tls } from '../transports/tls/tls.ts'
import type { TlsCredentials, TlsOptions } from '../transports/tls/tls-options.ts'
import { credentialsOf } from './certificates.ts'
import { durationMs } from './config/quantity.ts'
import type { UpstreamTlsConfig } from './config/schema/cluster.ts'
import type { ListenerTlsConfig, SessionTicketsConfig } from './config/schema/listener.ts'
import type { GatewayFiles } from './gateway-files.ts'
import { type GatewayTransports, plainTransport, type ServerTls } from './transports.ts'

export function nodeTransports(clock: Clock): GatewayTransports {
  return new NodeTransports(clock)
}

class NodeTransports implements GatewayTransports {
  readonly #clock: Clock
  readonly #plain: Transport
  /** One for the process: browsers are asked to trust it once. */
  readonly #ticketSources = new Map<string, TicketKeySource>()
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
    alpn: readonly string[],
  ): Promise<ServerTls> {
    const options = await this.#serverOptions(config, files, alpn)
    const transport = this.#tls({ ...(inner !== undefined && { inner }), ...options })
    return {
      transport,
      prepare: async (next, nextFiles, nextAlpn) =>
        transport.prepare(await this.#serverOptions(next, nextFiles, nextAlpn)),
    }
  }

  async clientTls(
    config: UpstreamTlsConfig,
    files: GatewayFiles,
    inner: Transport | undefined,
    alpn: readonly string[],
  ): Promise<Transport> {
    const { ca_file: ca, cert_file: cert, key_file: key } = config
    return this.#tls({
      ...(inner !== undefined && { inner }),
      alpn,
      minVersion: config.min_version,
      verify: config.verify,
      ...(config.ciphers !== undefined && { ciphers: config.ciphers }),
      ...(config.pins !== undefined && { pins: config.pins }),
      ...(config.crl_file !== undefined && { crl: files.text(config.crl_file) }),
      ...(ca !== undefined && { ca: files.text(ca) }),
      ...(cert !== undefined &&
        key !== undefined && {
          credentials: {
            certificate: files.text(cert),
            key: files.text(key),
            name: `${cert} and ${key}`,
          },
        }),
      ...(config.server_name !== undefined && { serverName: config.server_name }),
    })
  }

  async #serverOptions(
    config: ListenerTlsConfig,
    files: GatewayFiles,
    alpn: readonly string[],
  ): Promise<TlsOptions> {
    const { fallback, serverNames } = await this.#certificates(config, files)
    const { client_ca_file: ca, client_crl_file: crl, session_tickets: tickets } = config
    return {
      clock: this.#clock,
      credentials: fallback,
      serverNames,
      minVersion: config.min_version,
      ...(config.ciphers !== undefined && { ciphers: config.ciphers }),
      alpn,
      handshakeTimeoutMs: durationMs(config.handshake_timeout),
      clientCertificates:
        ca === undefined ? 'none' : config.require_client_certificate ? 'require' : 'request',
      ...(ca !== undefined && { ca: files.text(ca) }),
      ...(crl !== undefined && { crl: files.text(crl) }),
      ...(config.client_pins !== undefined && { pins: config.client_pins }),
      ...(config.key_log_file !== undefined && { keyLogFile: config.key_log_file }),
      ...(tickets !== undefined && { ticketKeys: this.#ticketKeys(tickets, files) }),
    }
  }

  /** One source for equal options: a reload that changes nothing here keeps random keys. */
  #ticketKeys(config: SessionTicketsConfig, files: GatewayFiles): TicketKeySource {
    const secret = config.secret_file === undefined ? undefined : files.text(config.secret_file)
    const key = JSON.stringify([config, secret])
    let source = this.#ticketSources.get(key)
    if (source === undefined) {
      source = rotatingTicketKeys({
        clock: this.#clock,
        periodMs: durationMs(config.rotation),
        previous: config.previous,
        ...(secret !== undefined && { secret: Buffer.from(secret.replace(/\r?\n$/, '')) }),
      })
      this.#ticketSources.clear()
      this.#ticketSources.set(key, source)
    }
    return source
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
      const credentials = credentialsOf(one, files)
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
