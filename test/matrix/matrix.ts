/**
 * The protocols and transports that are proven together: `matrix.test.ts` runs every pair, and the
 * README's table is written from this list (`npm run gen`). What is not here is not claimed.
 */
export const PROTOCOLS = ['HTTP/1.1', 'HTTP/2', 'gRPC', 'WebSocket', 'signed blocks'] as const
export const TRANSPORTS = [
  'TCP',
  'TLS',
  'Unix socket',
  'memory',
  'TLS over memory',
  'Node Duplex',
  'WebSocket',
  'WebSocket over TLS',
  'QUIC',
  'WebRTC',
  'yamux over TCP',
  'sealed TCP',
  'compressed TCP',
  'HTTP CONNECT tunnel',
  'SOCKS tunnel',
] as const

export type Protocol = (typeof PROTOCOLS)[number]
export type TransportName = (typeof TRANSPORTS)[number]

/** The table as Markdown; every cell is a pair that the matrix test runs, client and server. */
export function matrixTable(): string {
  const rows = [
    ['', ...TRANSPORTS],
    ['---', ...TRANSPORTS.map(() => ':-:')],
    ...PROTOCOLS.map((protocol) => [protocol, ...TRANSPORTS.map(() => 'client, server')]),
  ]
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
