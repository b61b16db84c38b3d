import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, memory } from '../../core/address.ts'
import type { Transport } from '../../core/transport.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { memory as memoryTransport } from '../../transports/memory/memory-transport.ts'
import { memorySignalling } from '../webrtc-signalling/memory-signalling.ts'
import { streamTransportFor, transportFor } from './transport-for.ts'
import { transportProfiles } from './transport-profiles.ts'
import { TransportRegistry } from './transport-registry.ts'

test('transportFor loads each transport of the table, in its shape', async () => {
  const urls: Readonly<Record<string, string>> = {
    memory: 'mem:x',
    unix: 'unix:/run/x',
    udp: 'udp://127.0.0.1:1',
    tcp: 'tcp://127.0.0.1:1?family=4',
    tls: 'tls://127.0.0.1:1?alpn=h2,x&sni=a.example',
    ws: 'ws://127.0.0.1:1/chat',
    wss: 'wss://127.0.0.1:1/chat#sni=a.example',
    quic: 'quic://127.0.0.1:1?alpn=x',
    webrtc: 'webrtc://peer',
  }
  for (const { name, kind } of transportProfiles) {
    const webRtc = { signalling: memorySignalling() }
    const loaded = await transportFor(urls[name] as string, { webRtc })
    assert.equal(loaded.kind, kind, name)
  }
})

test('transportFor gives the address and what else the URL says', async () => {
  const tls = await transportFor('/ip4/192.0.2.1/tcp/443/tls/sni/a.example')
  assert.deepEqual(tls.address, ip('192.0.2.1', 443))
  assert.deepEqual(tls.connectOptions, { serverName: 'a.example' })
  const ws = await transportFor('wss://h/chat?room=1#sni=x')
  assert.deepEqual(ws.address, { kind: 'url', url: 'wss://h/chat?room=1' })
})

test('transportFor refuses what it cannot do, and options that nobody takes', async () => {
  for (const [url, code] of [
    ['pigeon://h:1', 'ERR_OPTION_UNSUPPORTED'],
    ['io_uring+tcp://h:1', 'ERR_OPTION_UNSUPPORTED'],
    ['webrtc://peer', 'ERR_OPTION_UNSUPPORTED'],
    ['tcp://h:1?alpn=h2', 'ERR_OPTION_UNKNOWN'],
    ['quic://h:1?certhash=uEgNmb28', 'ERR_OPTION_UNKNOWN'],
    ['tcp://h:1?family=5', 'ERR_OPTION_RANGE'],
    ['no url', 'ERR_ADDRESS_INVALID'],
  ] as const) {
    await assert.rejects(transportFor(url), { code }, url)
  }
})

test('streamTransportFor gives a byte stream of everything but datagrams', async () => {
  for (const url of ['tcp://127.0.0.1:1', 'ws://127.0.0.1:1/', 'quic://127.0.0.1:1?alpn=x']) {
    const { transport } = await streamTransportFor(url)
    assert.equal(transport.traits.messageBoundaries, false, url)
  }
  await assert.rejects(streamTransportFor('udp://127.0.0.1:1'), { code: 'ERR_OPTION_UNSUPPORTED' })
})

test('streamTransportFor carries bytes over WebSocket by URL alone', async () => {
  const server = await streamTransportFor('ws://127.0.0.1:0/chat')
  const listener = await server.transport.listen(server.address, {
    onConnection(connection) {
      connection.open({
        onData: (chunk) => void connection.write(chunk.slice()),
        onDrain() {},
        onEnd: () => connection.end(),
        onClose() {},
      })
    },
  })
  const bound = listener.address
  assert.ok(bound.kind === 'url')
  const client = await streamTransportFor(bound.url)
  const connection = await client.transport.connect(client.address)
  const heard = await new Promise<string>((resolve) => {
    connection.open({
      onData: (chunk) => resolve(Buffer.from(chunk).toString()),
      onDrain() {},
      onEnd() {},
      onClose() {},
    })
    connection.write(Buffer.from('through'))
  })
  assert.equal(heard, 'through')
  connection.destroy()
  await listener.close()
})

test('TransportRegistry takes transports of the user', async () => {
  const clock = new ManualClock()
  const mine: Transport = memoryTransport({ clock })
  const registry = new TransportRegistry({ mem: async () => ({ kind: 'stream', transport: mine }) })
  registry.register('shm', async (url) => {
    assert.deepEqual(url.address, { kind: 'url', url: 'shm:ring' })
    return { kind: 'stream', transport: mine }
  })
  assert.deepEqual(registry.names, ['mem', 'shm'])
  assert.equal((await registry.load('shm:ring')).transport, mine)
  await assert.rejects(registry.load('mem:x'), /no transport memory; there are mem, shm/)
  assert.deepEqual(memory('x'), { kind: 'memory', name: 'x' })
})
