import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Acceptor, Recorder } from '../../../test/transports/recorder.ts'
import { ip } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { SecureConnection } from '../node-stream/secure-connection.ts'
import { tls } from './tls.ts'

const authority = await DevAuthority.create(systemClock)
const credentials = await authority.issue()
const { ca } = authority
const LOOPBACK = ip('127.0.0.1', 0)

test('SecureConnection is what both sides of tls on TCP get, unless told otherwise', async () => {
  for (const [engine, expected] of [
    ['auto', true],
    ['net', false],
  ] as const) {
    const transport = tls({ credentials, ca, tcp: { engine } })
    await using acceptor = await Acceptor.listen(transport, LOOPBACK)
    const client = await transport.connect(acceptor.address)
    const server = await acceptor.next()
    assert.equal(client instanceof SecureConnection, expected, engine)
    assert.equal(server instanceof SecureConnection, expected, engine)
    client.destroy()
    server.destroy()
  }
})

test('SecureConnection loses nothing that came together with the end of the handshake', async () => {
  await using acceptor = await Acceptor.listen(tls({ credentials }), LOOPBACK)
  const { address } = acceptor
  assert.equal(address.kind, 'ip')
  const port = address.kind === 'ip' ? address.port : 0
  // node:tls sends what was written before it was secure in one piece with its Finished message.
  const socket = connectTls({ port, host: '127.0.0.1', ca: String(ca) })
  socket.end('early and final')
  const server = await acceptor.next()
  const recorder = new Recorder()
  server.open(recorder)
  await recorder.ended
  assert.equal(recorder.length, 'early and final'.length)
  server.end()
  await recorder.closed
  socket.destroy()
})

test('SecureConnection sends what is written during a write after it, in order, before the end', async () => {
  const transport = tls({ credentials, ca })
  await using acceptor = await Acceptor.listen(transport, LOOPBACK)
  const client = await transport.connect(acceptor.address)
  const server = await acceptor.next()
  let text = ''
  const recorder = new Recorder((chunk) => {
    text += Buffer.from(chunk).toString('latin1')
  })
  server.open(recorder)
  client.open(new Recorder())
  client.write(Buffer.from('a'))
  assert.equal(client.writableLength, 1)
  client.writeAll([Buffer.from('b'), Buffer.alloc(0), Buffer.from('c')])
  client.write(Buffer.from('d'))
  assert.equal(client.writableLength, 4)
  client.end()
  await recorder.ended
  assert.equal(text, 'abcd')
  server.end()
  await recorder.closed
})
