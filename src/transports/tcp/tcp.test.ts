import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import {
  Acceptor,
  connectPair,
  patternChecker,
  Recorder,
  sendReusingRegion,
} from '../../../test/transports/recorder.ts'
import { ip } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { HeddleError, TransportError, UsageError } from '../../core/errors.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { handleEngineProblem } from '../node-stream/handle-engine.ts'
import { ParkedServer } from '../node-stream/parked-server.ts'
import { tcp } from './tcp.ts'

const LOOPBACK = ip('127.0.0.1', 0)
const ENGINES = ['handle', 'net'] as const

test('handle engine passes its self-test here', async () => {
  assert.equal(await handleEngineProblem(systemClock), undefined)
})

for (const engine of ENGINES) {
  const transport = tcp({ engine })
  const name = (behaviour: string) => `tcp (${engine}) ${behaviour}`

  test(name('carries bytes both ways and closes cleanly when both ended'), async () => {
    await using pair = await connectPair(transport, LOOPBACK)
    const client = new Recorder()
    const server = new Recorder((chunk) => pair.server.write(chunk.slice()))
    pair.client.open(client)
    pair.server.open(server)
    pair.client.write(Buffer.from('one '))
    pair.client.writeAll([Buffer.from('two '), Buffer.from(''), Buffer.from('three')])
    await client.received(13)
    assert.equal(client.text, 'one two three')
    pair.client.end()
    await server.ended
    pair.server.end()
    assert.deepEqual(await Promise.all([client.closed, server.closed]), [undefined, undefined])
    assert.deepEqual(client.events, ['data', 'end', 'close'])
    assert.deepEqual(server.events, ['data', 'end', 'close'])
    assert.equal(pair.listener.connectionCount, 0)
  })

  test(name('goes on writing after the peer ended'), async () => {
    await using pair = await connectPair(transport, LOOPBACK)
    const client = new Recorder()
    const server = new Recorder()
    pair.client.open(client)
    pair.server.open(server)
    pair.client.end()
    await server.ended
    assert.equal(pair.client.write(Buffer.from('dropped')), false)
    pair.server.write(Buffer.alloc(1_000_000, 'x'))
    pair.server.end()
    await client.closed
    assert.equal(client.length, 1_000_000)
    assert.equal(server.length, 0)
  })

  test(name('keeps 2,000 small writes in order'), async () => {
    await using pair = await connectPair(transport, LOOPBACK)
    const client = new Recorder()
    pair.client.open(client)
    pair.server.open(new Recorder())
    const lines = Array.from({ length: 2_000 }, (_, index) => `${index}\n`)
    for (const line of lines) pair.server.write(Buffer.from(line))
    pair.server.end()
    await client.ended
    assert.equal(client.text, lines.join(''))
  })

  test(name('leaves a region alone once writableLength is 0, with a slow reader'), async () => {
    await using pair = await connectPair(transport, LOOPBACK)
    const { check, length } = patternChecker()
    const reader = new Recorder((chunk) => {
      check(chunk)
      pair.client.pause()
      setImmediate(() => pair.client.resume())
    })
    const writer = new Recorder()
    pair.server.open(writer)
    const total = 24 * 1024 * 1024
    const { waits } = sendReusingRegion(pair.server, writer, 48 * 1024, total)
    pair.client.open(reader)
    await reader.ended
    assert.equal(length(), total)
    assert.ok(waits() > 0, 'the writer never had to wait: nothing was proven')
  })

  test(name('says when to stop writing and calls onDrain at 0'), async () => {
    await using pair = await connectPair(tcp({ engine, highWaterMarkBytes: 10_000 }), LOOPBACK)
    const writer = new Recorder()
    pair.server.open(writer)
    const chunk = new Uint8Array(5_000)
    let last = true
    for (let sent = 0; last && sent < 20_000; sent++) last = pair.server.write(chunk)
    assert.equal(last, false)
    assert.equal(pair.server.writableLength, 15_000, 'one chunk over a mark of two')
    const drained = new Promise<void>((resolve) => {
      writer.onDrained = resolve
    })
    pair.client.open(new Recorder(() => {}))
    await drained
    assert.equal(pair.server.writableLength, 0)
  })

  test(name('delivers nothing while paused'), async () => {
    await using pair = await connectPair(transport, LOOPBACK)
    const client = new Recorder(() => pair.client.pause())
    pair.client.open(client)
    const server = new Recorder()
    pair.server.open(server)
    pair.server.write(Buffer.from('first'))
    await client.received(5)
    pair.server.write(Buffer.from('second'))
    pair.server.end()
    // The echo of another connection proves that the loop had the time to deliver.
    await roundTrip(engine)
    assert.equal(client.length, 5)
    client.onChunk = undefined
    pair.client.resume()
    await client.ended
    assert.equal(client.text, 'second')
  })

  test(name('gives unread bytes and the end to the next handler after detach'), async () => {
    await using pair = await connectPair(transport, LOOPBACK)
    pair.server.open(new Recorder())
    pair.server.write(Buffer.from('HELLO world'))
    pair.server.end()
    const first = new Recorder()
    const detached = new Promise<void>((resolve) => {
      first.onChunk = (chunk) => {
        pair.client.detach(chunk.subarray(5))
        chunk.fill(0)
        resolve()
      }
    })
    pair.client.open(first)
    await detached
    await roundTrip(engine)
    const second = new Recorder()
    pair.client.open(second)
    assert.equal(second.text, ' world')
    await second.ended
    assert.throws(() => pair.client.open(first), { code: 'ERR_ALREADY_OPEN' })
    pair.client.end()
    assert.equal(await second.closed, undefined)
    assert.deepEqual(first.events, ['data'])
    assert.throws(() => pair.client.open(first), { code: 'ERR_ALREADY_OPEN' })
  })

  test(name('tells a later handler of a close that came while there was none'), async () => {
    await using pair = await connectPair(transport, LOOPBACK)
    const reason = new Error('mine')
    pair.client.destroy(reason)
    await roundTrip(engine)
    const late = new Recorder()
    pair.client.open(late)
    assert.deepEqual(late.events, [], 'not from inside open')
    assert.equal(await late.closed, reason)
  })

  test(name('gives onClose the reason of destroy, once'), async () => {
    await using pair = await connectPair(transport, LOOPBACK)
    const client = new Recorder()
    const server = new Recorder()
    pair.client.open(client)
    pair.server.open(server)
    const reason = new Error('mine')
    pair.client.destroy(reason)
    pair.client.destroy(new Error('another'))
    assert.deepEqual(client.events, [], 'not from inside destroy')
    assert.equal(await client.closed, reason)
    await server.ended
    assert.equal(pair.client.facts.remote.kind, 'ip')
    assert.deepEqual(pair.client.facts.remote, pair.listener.address, 'known after the close')
  })

  test(name('reports a reset as ERR_RESET'), async () => {
    const server = createServer((socket) => {
      socket.on('data', () => socket.resetAndDestroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const connection = await transport.connect(ip('127.0.0.1', port))
    const client = new Recorder()
    connection.open(client)
    connection.write(Buffer.from('x'))
    const reason = await client.closed
    assert.ok(reason instanceof TransportError)
    assert.equal(reason.code, 'ERR_RESET')
    assert.equal((reason.cause as NodeJS.ErrnoException).code, 'ECONNRESET')
    server.close()
  })

  test(name('refuses with ERR_CONNECT_REFUSED, nothing sent'), async () => {
    const listener = await transport.listen(LOOPBACK, { onConnection() {} })
    await listener.close()
    await assert.rejects(transport.connect(listener.address), (error) => {
      assert.ok(error instanceof HeddleError)
      assert.equal(error.code, 'ERR_CONNECT_REFUSED')
      assert.equal(error.sent, 'nothing')
      assert.match(error.message, /127\.0\.0\.1:\d+ refused/)
      return true
    })
  })

  test(name('names the address that is in use'), async () => {
    await using listener = await transport.listen(LOOPBACK, { onConnection() {} })
    const { port } = listener.address as { port: number }
    await assert.rejects(transport.listen(listener.address, { onConnection() {} }), {
      code: 'ERR_ADDRESS_IN_USE',
      message: `127.0.0.1:${port} is in use by another socket`,
    })
  })

  test(name('leaves newcomers to the kernel while paused, where Node can'), async (t) => {
    const probe = createServer()
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
    const parked = ParkedServer.park(probe)
    ;(parked?.take() ?? probe).close()
    if (parked === undefined) return t.skip('this Node cannot park a server')
    await using acceptor = await Acceptor.listen(tcp({ engine, maxPausedConnections: 0 }), LOOPBACK)
    const { listener, address } = acceptor
    for (let round = 0; round < 3; round++) {
      listener.pause()
      listener.pause()
      const connection = await transport.connect(address)
      connection.write(Buffer.from('early'))
      await roundTrip(engine)
      assert.equal(listener.connectionCount, round)
      listener.unref()
      listener.ref()
      listener.resume()
      const recorder = new Recorder()
      const peer = await acceptor.next()
      peer.open(recorder)
      await recorder.received(5)
      assert.deepEqual(peer.facts.local, address)
    }
    listener.pause()
    await listener.close({ signal: AbortSignal.abort() })
    await assert.rejects(transport.connect(address), { code: 'ERR_CONNECT_REFUSED' })
    assert.deepEqual(acceptor.errors, [])
  })

  test(
    name('closes a listener when the last connection has closed, or the signal aborts'),
    async () => {
      const pair = await connectPair(transport, LOOPBACK)
      const server = new Recorder()
      pair.server.open(server)
      pair.client.open(new Recorder())
      assert.equal(pair.listener.connectionCount, 1)
      const controller = new AbortController()
      const closing = pair.listener.close({ signal: controller.signal })
      let closed = false
      void closing.then(() => {
        closed = true
      })
      await assert.rejects(transport.connect(pair.listener.address), {
        code: 'ERR_CONNECT_REFUSED',
      })
      assert.equal(closed, false)
      const reason = new Error('enough')
      controller.abort(reason)
      await closing
      assert.equal(await server.closed, reason)
      pair.client.destroy()
    },
  )

  test(name('aborts before and while it connects'), async () => {
    const reason = new Error('changed my mind')
    const listener = await transport.listen(LOOPBACK, { onConnection() {} })
    await assert.rejects(
      transport.connect(listener.address, { signal: AbortSignal.abort(reason) }),
      reason,
    )
    const controller = new AbortController()
    const waiting = tcp({ engine, lookup: () => new Promise(() => {}) }).connect(
      ip('name.example', 80),
      { signal: controller.signal },
    )
    controller.abort(reason)
    await assert.rejects(waiting, reason)
    await listener.close()
  })

  test(name('reads IPv6, and gives IPv4 peers of a dual-stack listener as IPv4'), async (t) => {
    const peers: Connection[] = []
    let listener: Awaited<ReturnType<typeof transport.listen>>
    try {
      listener = await transport.listen(ip('::', 0), { onConnection: (c) => void peers.push(c) })
    } catch {
      return t.skip('no IPv6 here')
    }
    const { port } = listener.address as { port: number }
    const six = await transport.connect(ip('::1', port))
    const four = await transport.connect(ip('127.0.0.1', port))
    await roundTrip(engine)
    assert.deepEqual(peers.map((peer) => (peer.facts.remote as { host: string }).host).sort(), [
      '127.0.0.1',
      '::1',
    ])
    for (const connection of [six, four, ...peers]) connection.destroy()
    await listener.close()
  })
}

test('tcp resets a connection that is destroyed with bytes still queued', async (t) => {
  // libuv 1.51 tells a reset behind unread bytes as an end.
  const [, minor = 0] = process.versions.uv.split('.').map(Number)
  if (minor < 52) return t.skip(`libuv ${process.versions.uv} hides resets`)
  await using pair = await connectPair(tcp({ engine: 'handle' }), LOOPBACK)
  const client = new Recorder(() => {})
  pair.server.open(new Recorder())
  while (pair.server.write(new Uint8Array(65_536))) {}
  pair.server.destroy()
  pair.client.open(client)
  const reason = await client.closed
  assert.equal((reason as HeddleError).code, 'ERR_RESET', 'a cut stream must not look whole')
})

test('tcp still reads what the peer said before it reset', async () => {
  const server = createServer((socket) => {
    socket.once('data', () => {
      // An early answer, then a close with unread input, which makes the kernel reset.
      socket.pause()
      socket.write('413', () => setImmediate(() => socket.destroy()))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const connection = await tcp({ engine: 'handle' }).connect(ip('127.0.0.1', port))
  const client = new Recorder()
  connection.open(client)
  const chunk = new Uint8Array(65_536)
  const flood = () => {
    while (connection.write(chunk)) {}
  }
  client.onDrained = flood
  flood()
  const reason = await client.closed
  assert.equal(client.text, '413')
  assert.equal((reason as HeddleError).code, 'ERR_RESET')
  server.close()
})

test('tcp leases a chunk while other connections go on reading', async () => {
  const transport = tcp({ engine: 'handle', readBufferBytes: 1_024 })
  await using one = await connectPair(transport, LOOPBACK)
  await using two = await connectPair(transport, LOOPBACK)
  for (const connection of [one.server, two.server]) connection.open(new Recorder())
  let leased: Uint8Array | undefined
  let release = () => {}
  const first = new Recorder((chunk) => {
    if (leased !== undefined) return
    leased = chunk
    const lease = one.client.leaseChunk()
    const again = one.client.leaseChunk()
    release = () => {
      lease.release()
      lease.release()
      again.release()
    }
  })
  const second = new Recorder()
  one.client.open(first)
  two.client.open(second)
  one.server.write(Buffer.alloc(600, 'a'))
  await first.received(600)
  for (const [peer, recorder] of [
    [two.server, second],
    [one.server, first],
  ] as const) {
    const before = recorder.length
    for (let round = 1; round <= 5; round++) {
      peer.write(Buffer.alloc(700, 'b'))
      await recorder.received(before + 700 * round)
    }
  }
  assert.equal(Buffer.from(leased as Uint8Array).toString(), 'a'.repeat(600))
  release()
  assert.throws(() => one.client.leaseChunk(), { code: 'ERR_STATE' })
})

test('tcp ends a connect at the deadline of a manual clock', async () => {
  const clock = new ManualClock()
  const transport = tcp({ clock, lookup: () => new Promise(() => {}), connectTimeoutMs: 500 })
  const failure = assert.rejects(transport.connect(ip('slow.example', 80)), {
    code: 'ERR_CONNECT_TIMEOUT',
    sent: 'nothing',
    message: 'slow.example:80 could not be connected within 500 ms',
  })
  await waitUntil(() => clock.pendingTimers > 0)
  clock.advance(500)
  await failure
  const past = transport.connect(ip('slow.example', 80), { deadline: clock.now() })
  await assert.rejects(past, { code: 'ERR_CONNECT_TIMEOUT' })
  assert.equal(clock.pendingTimers, 0)
})

test('tcp races the addresses of a name', async () => {
  const transport = tcp({
    lookup: async () => [
      { address: '127.0.0.3', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ],
  })
  const accepted = new Promise<Connection>((resolve) => {
    void transport
      .listen(LOOPBACK, { onConnection: resolve })
      .then((listener) => connected(listener.address as { port: number }, listener))
  })
  const connected = async ({ port }: { port: number }, listener: AsyncDisposable) => {
    const connection = await transport.connect(ip('two.example', port))
    assert.deepEqual(connection.facts.remote, ip('127.0.0.1', port))
    connection.destroy()
    ;(await accepted).destroy()
    await listener[Symbol.asyncDispose]()
  }
  await accepted
})

test('tcp says why no address could be connected', async () => {
  const listener = await tcp().listen(LOOPBACK, { onConnection() {} })
  await listener.close()
  const { port } = listener.address as { port: number }
  const transport = tcp({
    lookup: async () => [
      { address: '127.0.0.1', family: 4 },
      { address: '127.0.0.2', family: 4 },
    ],
  })
  await assert.rejects(transport.connect(ip('two.example', port)), (error) => {
    assert.ok(error instanceof TransportError)
    assert.equal(error.code, 'ERR_CONNECT_REFUSED')
    assert.ok(error.cause instanceof AggregateError)
    assert.equal(error.cause.errors.length, 2)
    return true
  })
})

test('tcp reports a name that does not exist as ERR_RESOLVE', async () => {
  const lookup = async () => {
    throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
  }
  await assert.rejects(tcp({ lookup }).connect(ip('nowhere.example', 80)), {
    code: 'ERR_RESOLVE',
    message: 'nowhere.example:80: the name does not exist',
  })
  await assert.rejects(tcp({ lookup: async () => [] }).connect(ip('empty.example', 80)), {
    code: 'ERR_RESOLVE',
  })
})

test('tcp asks for a zone when a link-local address has none', async () => {
  await assert.rejects(tcp().connect(ip('fe80::1', 80)), {
    code: 'ERR_ADDRESS_INVALID',
    message: /needs a zone, as in fe80::1%eth0/,
  })
})

test('tcp refuses addresses of another kind', async () => {
  await assert.rejects(tcp().connect({ kind: 'memory', name: 'x' }), UsageError)
  await assert.rejects(
    tcp().listen({ kind: 'unix', path: '/x' }, { onConnection() {} }),
    UsageError,
  )
})

/** Lets everything that is ready in the loop happen: an echo over a connection of its own. */
async function roundTrip(engine: 'handle' | 'net'): Promise<void> {
  await using pair = await connectPair(tcp({ engine }), LOOPBACK)
  const client = new Recorder()
  pair.client.open(client)
  pair.server.open(new Recorder((chunk) => pair.server.write(chunk.slice())))
  pair.client.write(Buffer.from('x'))
  await client.received(1)
}

async function waitUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}
