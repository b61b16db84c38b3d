/**
 * `listeners`: where clients connect, and what is asked of them.
 */
import { z } from 'zod'
import { authentication, authorization } from './access.ts'
import { concurrency, connectionRateLimit, listenerRateLimit } from './load.ts'
import {
  cidr,
  count,
  duration,
  fileName,
  headerName,
  hostPattern,
  listenAddress,
  name,
  pin,
  size,
} from './primitives.ts'
import { rawRoute, route } from './route.ts'

const sessionTickets = z
  .strictObject({
    rotation: duration(1_000).default('1h').describe('How long one key encrypts'),
    previous: count(0, 16).default(2).describe('Older keys that still decrypt'),
    secret_file: fileName()
      .optional()
      .describe('Secret that gateways share to resume each other’s sessions: 32 bytes or more'),
  })
  .describe('Keys of TLS session tickets; without secret_file they are random')

const certificate = z
  .strictObject({
    cert_file: fileName().describe('PEM, the chain with the server’s certificate first'),
    key_file: fileName().describe('PEM'),
    passphrase: z.string().optional().describe('Of the key; better in a file'),
    passphrase_file: fileName().optional(),
    server_names: z
      .array(hostPattern())
      .optional()
      .describe('SNI names it is for; the first certificate without is the default'),
  })
  .refine(
    (value) => value.passphrase === undefined || value.passphrase_file === undefined,
    'a certificate has at most one of passphrase, passphrase_file',
  )

export const listenerTls = z
  .strictObject({
    certificates: z.array(certificate).max(256).default([]),
    development: z
      .boolean()
      .default(false)
      .describe('Make a certificate for localhost, kept in memory: browsers will warn'),
    client_ca_file: fileName()
      .optional()
      .describe('Ask clients for a certificate of these issuers'),
    require_client_certificate: z.boolean().default(false),
    client_crl_file: fileName()
      .optional()
      .describe('Revoked client certificates, PEM; out of date it refuses every client'),
    client_pins: z
      .array(pin())
      .min(1)
      .optional()
      .describe('Public keys, one of which a client’s verified chain must have'),
    session_tickets: sessionTickets.optional(),
    ciphers: z.string().min(1).optional().describe('OpenSSL’s list; default Node’s'),
    key_log_file: fileName()
      .optional()
      .describe('Gets the secrets of every connection, for Wireshark; never in production'),
    min_version: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
    handshake_timeout: duration(1).default('10s'),
  })
  .refine(
    (tls) => tls.development || tls.certificates.length > 0,
    'tls needs certificates, or development: true',
  )
  .refine(
    (tls) => !tls.require_client_certificate || tls.client_ca_file !== undefined,
    'require_client_certificate needs client_ca_file',
  )
  .refine(
    (tls) =>
      tls.client_ca_file !== undefined ||
      (tls.client_crl_file === undefined && tls.client_pins === undefined),
    'client_crl_file and client_pins need client_ca_file',
  )

const proxyProtocol = z
  .strictObject({
    mode: z
      .enum(['off', 'optional', 'require'])
      .default('off')
      .describe('Who may send it can say who they are: both modes need trusted'),
    trusted: z
      .array(z.union([z.literal('any'), cidr()]))
      .default([])
      .describe(
        'Peers whose header counts; others are refused (require) or read as they are (optional). ' +
          'any, only for require: the network lets nobody but proxies through',
      ),
    timeout: duration(1).default('5s').describe('For the header to arrive'),
  })
  .refine(
    (value) => value.mode === 'off' || value.trusted.length > 0,
    'proxy_protocol needs trusted addresses, or any client could claim any address',
  )
  .refine(
    (value) => value.mode !== 'optional' || !value.trusted.includes('any'),
    'proxy_protocol mode optional cannot trust any: any client could claim any address',
  )

const forwarding = z
  .strictObject({
    trusted_hops: count(0, 32)
      .default(0)
      .describe(
        'Proxies in front of this one whose X-Forwarded-* and Forwarded entries are believed',
      ),
    x_forwarded: z
      .boolean()
      .default(true)
      .describe('Send X-Forwarded-For, -Proto and -Host upstream'),
    forwarded: z.boolean().default(false).describe('Send Forwarded (RFC 7239) upstream'),
    via: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'a name in Via has letters, digits, dots, hyphens')
      .optional()
      .describe(
        'Our name in Via; a request that carries it already loops and is answered 508. ' +
          'Default heddle-<random>, so that gateways may stand behind one another',
      ),
    request_id: headerName().default('x-request-id').describe('Made where the client sent none'),
    trust_request_id: z
      .boolean()
      .default(false)
      .describe('Keep the client’s request id; otherwise it is replaced'),
    trust_deadline: z
      .boolean()
      .default(false)
      .describe(
        'Let x-envoy-expected-rq-timeout-ms, connect-timeout-ms or grpc-timeout of the client shorten ' +
          'the time of its request; never make it longer than the route’s timeout',
      ),
  })
  .describe('What upstreams learn about the way of a request')

const tracing = z
  .strictObject({
    sampling: z
      .number()
      .min(0)
      .max(100)
      .default(1)
      .describe(
        'Percent of the traces that begin here which are marked as sampled. An OpenTelemetry SDK, ' +
          'where one is registered, decides instead',
      ),
    trust_incoming: z
      .boolean()
      .default(true)
      .describe(
        'Continue the client’s trace, with its decision and baggage. false, where anybody may ' +
          'connect: a trace of our own begins, and its baggage is dropped',
      ),
  })
  .describe(
    'Give each request a span of its own, which upstreams see as their parent. Without it, and ' +
      'without an SDK, traceparent is passed on as it came',
  )

const paths = z
  .strictObject({
    dot_segments: z
      .enum(['resolve', 'reject', 'keep'])
      .default('resolve')
      .describe('/a/../b, encoded ones too'),
    double_slashes: z.enum(['merge', 'reject', 'keep']).default('merge').describe('/a//b'),
    encoded_slashes: z
      .enum(['keep', 'decode', 'reject'])
      .default('keep')
      .describe('%2F and %5C: keep leaves them out of routing, as part of a segment'),
    backslashes: z.enum(['reject', 'slash', 'keep']).default('reject'),
  })
  .describe('How paths are normalised before routing, and sent upstream')

export const listener = z
  .strictObject({
    name: name(),
    address: listenAddress().describe(
      'host:port, unix:/path, or systemd:<name> of a passed socket',
    ),
    protocol: z
      .enum(['http', 'raw', 'detect'])
      .default('http')
      .describe(
        'detect looks at the first bytes: TLS, HTTP/1, HTTP/2, or anything else (raw_routes)',
      ),
    http_versions: z
      .array(z.enum(['1.1', '2']))
      .min(1)
      .default(['1.1', '2'])
      .describe(
        'Over TLS the client chooses by ALPN, else by its first bytes: HTTP/2 with prior knowledge',
      ),
    max_concurrent_streams: count(1, 1_000_000)
      .default(256)
      .describe('HTTP/2: requests at a time on one connection'),
    max_connection_age: duration(1)
      .optional()
      .describe(
        'Then a connection finishes its requests and closes: Connection: close, GOAWAY; default never',
      ),
    max_connection_age_grace: duration(1)
      .optional()
      .describe('How long its requests may take then; default as long as they need'),
    tls: listenerTls.optional(),
    proxy_protocol: proxyProtocol.prefault({}),
    allow: z
      .array(cidr())
      .max(100_000)
      .default([])
      .describe(
        'Only these addresses and blocks may connect; empty: all. With a PROXY header, who it names',
      ),
    deny: z
      .array(cidr())
      .max(100_000)
      .default([])
      .describe('These may not; wins over allow. They are closed before a byte is read'),
    max_connections: count(1, 1_000_000).default(20_000),
    max_connections_per_address: count(1, 1_000_000).optional(),
    max_requests_in_flight: count(1, 1_000_000)
      .default(10_000)
      .describe('On this listener; more are answered 503 at once'),
    connection_rate_limit: connectionRateLimit.optional(),
    rate_limits: z
      .array(listenerRateLimit)
      .max(8)
      .default([])
      .describe('Before routing and authentication; all of them hold'),
    concurrency: concurrency.optional().describe('Of all routes together, by their priority'),
    client_priority: z
      .enum(['ignore', 'lower', 'trust'])
      .default('lower')
      .describe('The priority header (RFC 9218): lower, less important than the route; trust, any'),
    max_header_bytes: size(256, 1_048_576).default('16KiB'),
    max_header_count: count(8, 10_000).default(100),
    max_request_body: size(0)
      .optional()
      .describe('For routes that do not say; default unlimited, streamed'),
    request_header_timeout: duration(1).default('20s'),
    request_body_timeout: duration(1).default('30s').describe('Longest pause in a body'),
    keepalive_timeout: duration(1).default('75s').describe('Longest pause between requests'),
    detect_timeout: duration(1)
      .default('3s')
      .describe('detect: a client that says nothing for this long is treated as raw'),
    forwarding: forwarding.prefault({}),
    tracing: tracing.optional(),
    paths: paths.prefault({}),
    authentication: authentication.optional(),
    authorization: authorization.optional(),
    routes: z.array(route).optional().describe('Instead of the routes that all listeners share'),
    raw_routes: z.array(rawRoute).default([]).describe('For raw and detect'),
    socket_mode: z
      .string()
      .regex(/^0?[0-7]{3}$/, 'a mode has three octal digits, as "600"')
      .optional()
      .describe('unix: permissions of the socket, default 600'),
  })
  .refine(
    (value) =>
      value.protocol === 'http' || value.raw_routes.length > 0 || value.protocol === 'detect',
    {
      path: ['raw_routes'],
      error: 'a raw listener needs raw_routes',
    },
  )
  .refine((value) => value.protocol !== 'http' || value.raw_routes.length === 0, {
    path: ['raw_routes'],
    error: 'raw_routes need protocol: raw or detect',
  })

export type ListenerConfig = z.output<typeof listener>
export type ListenerTlsConfig = z.output<typeof listenerTls>
export type SessionTicketsConfig = z.output<typeof sessionTickets>
export type ForwardingConfig = z.output<typeof forwarding>
export type PathsConfig = z.output<typeof paths>
export type ProxyProtocolConfig = z.output<typeof proxyProtocol>
