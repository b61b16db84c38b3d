/** httpxy's proxy server with its shared keep-alive agent. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createProxyServer } from 'httpxy'
import { peerSettings, ready } from '../harness/peer.ts'

const { upstreamPort } = peerSettings()
const proxy = createProxyServer({ target: `http://127.0.0.1:${upstreamPort}`, xfwd: true })
const server = createServer(async (request, response) => {
  try {
    await proxy.web(request, response)
  } catch {
    response.writeHead(502).end()
  }
})
server.listen(0, '127.0.0.1', () => ready({ port: (server.address() as AddressInfo).port }))
