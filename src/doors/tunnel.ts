/** `heddle/tunnel`: transports that go through a proxy, by HTTP CONNECT or SOCKS. */
export * from '../links/tunnel/http-connect-tunnel.ts'
export * from '../links/tunnel/proxy-url.ts'
export * from '../links/tunnel/socks-tunnel.ts'
export * from '../links/tunnel/tunnel-transport.ts'
