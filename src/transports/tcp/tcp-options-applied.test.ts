/** Options that show on a real socket. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Acceptor, connectPair, Recorder } from '../../../test/transports/recorder.ts'
import { ip } from '../../core/address.ts'
import { ParkedServer } from '../node-stream/parked-server.ts'
import { tcp } from './tcp.ts'

const LOOPBACK = ip('127.0.0.1', 0)
const linux = process.platform === 'linux'

test('tcp connects from the local address and port it is told', { skip: !linux }, async () => {
  await using acceptor = await Acceptor.listen(tcp(), LOOPBACK)
  const connection = await tcp({ localAddress: '127.0.0.9' }).connect(acceptor.address)
  const peer = await acceptor.next()
  const { remote } = peer.facts
  assert.equal(remote.kind === 'ip' && remote.host, '127.0.0.9')
  assert.deepEqual(connection.facts.local, remote)
  connection.destroy()
})

test('tcp uses the one family it is told', async () => {
  await using acceptor = await Acceptor.listen(tcp(), LOOPBACK)
  const lookup = async () =>
    [
      { address: '::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ] as const
  const target = ip('both.example', acceptor.port)
  const connection = await tcp({ lookup, family: 4 }).connect(target)
  assert.deepEqual(connection.facts.remote, acceptor.address)
  connection.destroy()
  const only = tcp({ lookup: async () => [{ address: '127.0.0.1', family: 4 }], family: 6 })
  await assert.rejects(only.connect(target), { code: 'ERR_RESOLVE', message: /does not exist/ })
})

test('tcp tries no more addresses than maxAddresses', async () => {
  await using acceptor = await Acceptor.listen(tcp(), LOOPBACK)
  const lookup = async () =>
    ['127.0.0.7', '127.0.0.8', '127.0.0.1'].map((address) => ({ address, family: 4 as const }))
  const target = ip('many.example', acceptor.port)
  const connection = await tcp({ lookup, maxAddresses: 3 }).connect(target)
  connection.destroy()
  await assert.rejects(tcp({ lookup, maxAddresses: 2 }).connect(target), {
    code: 'ERR_CONNECT_REFUSED',
  })
})

test('tcp shares a port between listeners with reusePort', { skip: !linux }, async () => {
  const transport = tcp({ reusePort: true })
  await using one = await Acceptor.listen(transport, LOOPBACK)
  await using two = await Acceptor.listen(transport, one.address)
  assert.equal(two.port, one.port)
  for (let count = 0; count < 64; count++) {
    const connection = await transport.connect(one.address)
    connection.destroy()
  }
  while (one.connections.length + two.connections.length < 64) await new Promise(setImmediate)
  assert.ok(one.connections.length > 0 && two.connections.length > 0)
})

test('tcp leaves IPv4 alone with ipv6Only', async (t) => {
  let acceptor: Acceptor
  try {
    acceptor = await Acceptor.listen(tcp({ ipv6Only: true }), ip('::', 0))
  } catch {
    return t.skip('no IPv6 here')
  }
  await assert.rejects(tcp().connect(ip('127.0.0.1', acceptor.port)), {
    code: 'ERR_CONNECT_REFUSED',
  })
  await acceptor[Symbol.asyncDispose]()
})

test('tcp connects to a link-local address by its zone', async (t) => {
  const [zone, address] =
    Object.entries(networkInterfaces())
      .map(([name, list]) => [name, list?.find(isLinkLocal)?.address] as const)
      .find(([, found]) => found !== undefined) ?? []
  if (address === undefined) return t.skip('no link-local address here')
  await using acceptor = await Acceptor.listen(tcp(), ip('::', 0))
  const connection = await tcp().connect(ip(`${address}%${zone}`, acceptor.port))
  const { remote } = connection.facts
  assert.equal(remote.kind === 'ip' && remote.host.startsWith('fe80:'), true)
  connection.destroy()
})

test('tcp gives up an attempt that is on its way, and leaves no socket', {
  skip: !linux,
}, async (t) => {
  // A parked server with a full queue answers no SYN any more.
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1, resolve))
  const { port } = server.address() as { port: number }
  const parked = ParkedServer.park(server)
  if (parked === undefined) {
    server.close()
    return t.skip('this Node cannot park a server')
  }
  const filling = [1, 2, 3, 4].map(() =>
    tcp({ connectTimeoutMs: 300 })
      .connect(ip('127.0.0.1', port))
      .then(
        (connection) => connection,
        () => undefined,
      ),
  )
  const filled = await Promise.all(filling)
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap')
  const before = sockets().length
  const controller = new AbortController()
  const waiting = tcp().connect(ip('127.0.0.1', port), { signal: controller.signal })
  while (sockets().length === before) await new Promise(setImmediate)
  const reason = new Error('changed my mind')
  controller.abort(reason)
  await assert.rejects(waiting, reason)
  while (sockets().length > before) await new Promise(setImmediate)
  const late = tcp({ connectTimeoutMs: 50 }).connect(ip('127.0.0.1', port))
  await assert.rejects(late, { code: 'ERR_CONNECT_TIMEOUT', sent: 'nothing' })
  for (const connection of filled) connection?.destroy()
  parked.take().close()
})

test('tcp works on handles in a worker thread', async () => {
  const module = new URL('./tcp.ts', import.meta.url).href
  const worker = new Worker(
    `import(${JSON.stringify(module)}).then(async ({ tcp }) => {
       const { parentPort } = require('node:worker_threads')
       const transport = tcp({ engine: 'handle' })
       const quiet = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} }
       const listener = await transport.listen({ kind: 'ip', host: '127.0.0.1', port: 0 }, {
         onConnection(peer) {
           peer.open({ ...quiet, onData: (chunk) => peer.write(chunk), onEnd: () => peer.end() })
         },
       })
       const client = await transport.connect(listener.address)
       let text = ''
       client.open({
         ...quiet,
         onData(chunk) { text += Buffer.from(chunk); client.end() },
         onClose() { parentPort.postMessage(text); listener.close() },
       })
       client.write(Buffer.from('from a thread'))
     })`,
    { eval: true },
  )
  const exit = new Promise((resolve) => worker.once('exit', resolve))
  const text = await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  assert.equal(text, 'from a thread')
  assert.equal(await exit, 0, 'nothing keeps the thread alive')
})

test('tcp lets the process end when its connection and listener are unreferenced', async () => {
  await using pair = await connectPair(tcp(), LOOPBACK)
  const recorder = new Recorder()
  pair.client.open(recorder)
  const referenced = () =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length
  const before = referenced()
  pair.client.unref()
  pair.listener.unref()
  assert.equal(referenced(), before - 2)
  pair.client.ref()
  pair.listener.ref()
  assert.equal(referenced(), before)
})

function isLinkLocal({ family, address }: { family: string; address: string }): boolean {
  return family === 'IPv6' && address.startsWith('fe80:')
}
