/**
 * Address lists: who is refused is not read from, by the gateway and by a server of the library.
 */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { addressList } from '../../src/security/address-list.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { tls } from '../../src/transports/tls/tls.ts'
import { collect, HTTP, start } from './running-gateway.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** What a client from `localAddress` is told after it said `bytes`; '' when it was cut off. */
async function say(port: number, localAddress: string, bytes: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  socket.on('error', () => {})
  socket.write(bytes)
  return collect(socket).catch(() => '')
}

/** Every socket that a server of this process accepts. */
function accepted(t: TestContext): Socket[] {
  const sockets: Socket[] = []
  const onSocket = (message: unknown) => void sockets.push((message as { socket: Socket }).socket)
  subscribe('net.server.socket', onSocket)
  t.after(() => unsubscribe('net.server.socket', onSocket))
  return sockets
}

test('httpServer over TLS reads not a byte of a client that is refused by address', async (t) => {
  const sockets = accepted(t)
  const { certificate, key } = await (await DevAuthority.create(systemClock)).issue()
  const errors: Error[] = []
  await using server = httpServer(() => HttpResponse.text('x'), {
    admitAddress: addressList({ allow: ['127.0.0.0/30'], deny: ['127.0.0.2'] }),
    onError: (error) => void errors.push(error),
  })
  const listener = await server.listen(
    tls({ credentials: { certificate, key } }),
    'tcp://127.0.0.1:0',
  )
  const port = listener.address.kind === 'ip' ? listener.address.port : 0
  const hello = '\u0016\u0003\u0001\u0002\u0000\u0001'
  for (const localAddress of ['127.0.0.2', '127.0.0.4']) {
    assert.equal(await say(port, localAddress, hello + REQUEST), '')
  }
  assert.equal(sockets.length, 2)
  for (const socket of sockets) {
    assert.equal(socket.bytesRead, 0)
    assert.equal(socket.bytesWritten, 0)
    assert.equal(socket.destroyed, true)
  }
  assert.deepEqual([server.stats.refused, server.stats.accepted, errors], [2, 0, []])
  // One that may connect gets as far as the handshake, and is told what is wrong with it.
  await say(port, '127.0.0.1', REQUEST)
  assert.match(String(errors[0]), /plain HTTP request to a TLS port/)
})

test('Gateway listener refuses by address, and changes its lists by a reload', async (t) => {
  const config = (lists: object) => ({
    listeners: [{ ...HTTP, ...lists }],
    routes: [{ fixed_response: { body: 'come in' } }],
  })
  const { gateway, at, change } = await start(t, config({ deny: ['127.0.0.2'] }))
  const { port } = at()
  assert.equal(await say(port, '127.0.0.2', REQUEST), '')
  assert.match(await say(port, '127.0.0.3', REQUEST), /come in$/)
  const standing = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.3' })
  await once(standing, 'connect')
  change(config({ allow: ['127.0.0.2/31'], deny: ['127.0.0.3/32'] }))
  assert.equal((await gateway.reload()).status, 'applied')
  assert.equal(at().port, port, 'on the socket it has')
  assert.match(await say(port, '127.0.0.2', REQUEST), /come in$/)
  assert.equal(await say(port, '127.0.0.3', REQUEST), '')
  assert.equal(await say(port, '127.0.0.4', REQUEST), '')
  standing.write(REQUEST)
  assert.match(await collect(standing), /come in$/, 'who is in stays in')
  assert.equal(gateway.listeners()[0]?.refusedConnections, 3)
  assert.equal(gateway.totals.totalConnections, 3)
})

test('Gateway listener looks at the client that a PROXY header names, and at peers without one', async (t) => {
  const { at, gateway } = await start(t, {
    listeners: [
      {
        ...HTTP,
        proxy_protocol: { mode: 'optional', trusted: ['127.0.0.2'] },
        allow: ['192.0.2.0/24', '127.0.0.3'],
        deny: ['192.0.2.66'],
      },
    ],
    routes: [{ fixed_response: { body: 'come in' } }],
  })
  const { port } = at()
  const from = (client: string) => `PROXY TCP4 ${client} 198.51.100.1 5000 443\r\n${REQUEST}`
  assert.match(await say(port, '127.0.0.2', from('192.0.2.1')), /come in$/)
  assert.equal(await say(port, '127.0.0.2', from('192.0.2.66')), '')
  assert.equal(await say(port, '127.0.0.2', from('192.0.3.1')), '')
  assert.equal(await say(port, '127.0.0.2', REQUEST), '', 'the proxy itself is on no list')
  assert.match(await say(port, '127.0.0.3', REQUEST), /come in$/)
  assert.equal(await say(port, '127.0.0.4', from('192.0.2.1')), '', 'nobody believes this one')
  assert.equal(gateway.totals.requests, 2)
})
