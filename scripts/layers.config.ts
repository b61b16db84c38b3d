/**
 * Who may import whom. `scripts/layers.ts` enforces it, and `scripts/gen.ts` writes one TypeScript
 * project per layer from it, so that the compiler refuses the same imports.
 */

export interface Layer {
  /** Layers that this one may import. A layer that is not named here is out of reach, types too. */
  readonly imports: readonly string[]
  /** Compiled without Node's types: no `node:` modules, no `Buffer`, no timers. */
  readonly pure: boolean
  /** May ask for the time, randomness and timers itself instead of taking a `Clock`. */
  readonly ambientClock?: boolean
}

const SIBLINGS = [
  'protocols',
  'transports',
  'runtime',
  'security',
  'telemetry',
  'workers',
  'platform',
] as const
const COMBINED = ['links', 'clients', 'servers', 'discovery'] as const
const APPLICATIONS = ['gateway', 'fleet', 'bus', 'opensearch'] as const

const core = ['core']
const combined = ['core', ...SIBLINGS, 'links']
const application = ['core', ...SIBLINGS, ...COMBINED]

/** Lowest first. */
export const LAYERS: Readonly<Record<string, Layer>> = {
  core: { imports: [], pure: true },

  // The edge to Node. It is below its siblings, so that those which are not pure may stand on it.
  platform: { imports: core, pure: false, ambientClock: true },

  // Siblings never import one another: what they have in common is an interface in core.
  protocols: { imports: core, pure: true },
  runtime: { imports: core, pure: true },
  // The clock of a transport that was given none is the system's.
  transports: { imports: ['core', 'platform'], pure: false },
  security: { imports: core, pure: false },
  telemetry: { imports: core, pure: false },
  workers: { imports: core, pure: false },
  testing: { imports: core, pure: true },

  links: { imports: ['core', ...SIBLINGS], pure: false },

  // A server may not use a client: what both need is below them.
  clients: { imports: combined, pure: false },
  servers: { imports: combined, pure: false },
  discovery: { imports: [...combined, 'clients'], pure: false },

  gateway: { imports: application, pure: false },
  fleet: { imports: application, pure: false },
  bus: { imports: application, pure: false },
  opensearch: { imports: application, pure: false },

  cli: {
    imports: [...application, ...APPLICATIONS],
    pure: false,
    ambientClock: true,
  },

  // One file per subpath of the package's `exports`; nothing but re-exports.
  doors: { imports: [...application, ...APPLICATIONS, 'testing'], pure: false },
}

/**
 * Protocols that may import another protocol, and why. Everything else between two folders of
 * `src/protocols` is refused.
 */
export const PROTOCOL_IMPORTS: readonly {
  readonly from: string
  readonly to: string
  readonly why: string
}[] = [
  { from: 'http1', to: 'http', why: 'the meaning of a message is the same in every HTTP version' },
  { from: 'http2', to: 'http', why: 'the meaning of a message is the same in every HTTP version' },
  { from: 'http3', to: 'http', why: 'the meaning of a message is the same in every HTTP version' },
  { from: 'http3', to: 'http2', why: 'QPACK shares HPACK’s integers and Huffman code' },
  { from: 'websocket', to: 'http', why: 'the handshake is an HTTP exchange' },
  { from: 'websocket', to: 'http1', why: 'the upgrade of HTTP/1.1 (RFC 6455, section 4)' },
  { from: 'websocket', to: 'http2', why: 'extended CONNECT (RFC 8441)' },
  { from: 'grpc', to: 'http', why: 'a call is an HTTP exchange with trailers' },
  { from: 'grpc', to: 'http2', why: 'gRPC is defined on HTTP/2' },
  { from: 'grpc', to: 'protobuf', why: 'messages are Protobuf' },
  { from: 'transcoding', to: 'http', why: 'requests of HTTP become calls, and back' },
  { from: 'transcoding', to: 'grpc', why: 'a call is one of gRPC: frames, status, deadlines' },
  { from: 'transcoding', to: 'protobuf', why: 'schemas and their HTTP annotations' },
  { from: 'transcoding', to: 'connect', why: 'bodies are rewritten with the same backpressure' },
  { from: 'connect', to: 'http', why: 'a call is an HTTP exchange' },
  { from: 'connect', to: 'grpc', why: 'status codes and metadata are gRPC’s' },
  { from: 'connect', to: 'protobuf', why: 'error details and JSON' },
]

/**
 * Packages from npm, and who may import them: a layer, or `protocols/<name>` for the protocol that
 * is defined by the package. Nothing else is reachable from `src`.
 */
export const PACKAGES: readonly {
  readonly name: string
  readonly by: readonly string[]
  readonly why: string
}[] = [
  {
    name: 'yaml',
    by: ['discovery', 'gateway', 'fleet', 'cli'],
    why: 'configuration and endpoint files, with lines for errors',
  },
  {
    name: '@opentelemetry/api',
    by: ['telemetry'],
    why: 'spans and metrics go to the SDK of the user; without one the API does nothing',
  },
  { name: 'zod', by: ['gateway', 'fleet', 'cli'], why: 'the schema of configuration' },
  { name: '@peculiar/x509', by: ['security'], why: 'development certificates' },
  { name: 'jose', by: ['security'], why: 'JWT, JWS and JWK: signatures are not our field' },
  { name: 'ipaddr.js', by: ['security'], why: 'CIDR blocks, with their mapped and short forms' },
  {
    name: 'koffi',
    by: ['transports'],
    why: 'calls into the OpenSSL of Node for QUIC; optional, loaded when it is first asked for',
  },
  {
    name: '@currentspace/http3',
    by: ['transports'],
    why: 'quiche for datagrams of QUIC; optional, loaded when it is first asked for',
  },
  {
    name: 'node-datachannel',
    by: ['transports'],
    why: 'ICE, DTLS and SCTP of WebRTC; optional, loaded when it is first asked for',
  },
  { name: 'msgpackr', by: ['links'], why: 'payloads in MessagePack, for who asks for them' },
  { name: 'cborg', by: ['links'], why: 'payloads in CBOR, for who asks for them' },
  {
    name: '@bufbuild/protobuf',
    by: [
      'links',
      'protocols/grpc',
      'protocols/protobuf',
      'protocols/connect',
      'protocols/transcoding',
      'clients',
      'servers',
      'gateway',
      'cli',
    ],
    why: 'payloads in Protobuf, by the user’s own descriptors',
  },
  {
    name: 'protobufjs',
    by: ['protocols/protobuf'],
    why: 'parses .proto files at run time; optional, loaded when it is first asked for',
  },
  { name: 'reflect-metadata', by: ['security'], why: '@peculiar/x509 needs it loaded first' },
]

export const GLOBALS = {
  /** Refused everywhere but in layers with `ambientClock`: time and chance are injected. */
  clockAndRandom: [
    'Date.now',
    'Math.random',
    'clearImmediate',
    'clearInterval',
    'clearTimeout',
    'performance',
    'process',
    'setImmediate',
    'setInterval',
    'setTimeout',
  ],

  /** Refused in pure layers on top of those. `src/core/ambient.d.ts` names what they may use. */
  platform: [
    'Buffer',
    'WebSocket',
    'console',
    'crypto',
    'fetch',
    'global',
    'globalThis',
    'require',
    'structuredClone',
  ],

  exceptions: [] as readonly {
    readonly file: string
    readonly name: string
    readonly why: string
  }[],
}

export const SIZE = { fileLines: 500, functionLines: 70 }
