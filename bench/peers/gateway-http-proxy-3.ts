/** http-proxy-3 with a keep-alive agent: without one it opens a connection for every request. */
import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import httpProxy from 'http-proxy-3'
import { peerSettings, ready } from '../harness/peer.ts'

const { upstreamPort } = peerSettings()
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${upstreamPort}`,
  agent: new Agent({ keepAlive: true }),
  xfwd: true,
})
proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response) response.writeHead(502).end()
})
const server = createServer((request, response) => proxy.web(request, response))
server.listen(0, '127.0.0.1', () => ready({ port: (server.address() as AddressInfo).port }))
