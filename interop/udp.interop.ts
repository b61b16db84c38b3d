/**
 * UDP against socat and against a plain socket of Python: both directions, both families, the limits,
 * multicast with its TTL, and broadcast inside a network namespace of its own.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { type Address, ip } from '../src/core/address.ts'
import { udp } from '../src/transports/udp/udp.ts'
import type { UdpOptions } from '../src/transports/udp/udp-options.ts'
import type { UdpSocket } from '../src/transports/udp/udp-socket.ts'
import { requirePeer } from './peers.ts'
import { type Running, start } from './support/processes.ts'

const socat = requirePeer('socat')
const python = requirePeer('python3')
const unshare = requirePeer('unshare')
const PEER = join(import.meta.dirname, 'support/udp-peer.py')
const run = promisify(execFile)

interface Heard {
  readonly payload: Buffer
  readonly from: Address
}

/** A socket, and the datagrams it hears in turn. */
async function bound(options: UdpOptions = {}, at: Address = ip('127.0.0.1', 0)) {
  const socket = await udp(options).bind(at)
  return { socket, next: listen(socket) }
}

function listen(socket: UdpSocket): () => Promise<Heard> {
  const heard: Heard[] = []
  let wake: (() => void) | undefined
  socket.open({
    onDatagram(payload, from) {
      heard.push({ payload: Buffer.from(payload), from })
      wake?.()
    },
    onError() {},
    onClose() {},
  })
  return async () => {
    while (heard.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return heard.shift() as Heard
  }
}

async function printed(process: Running, pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const found = pattern.exec(process.output())
    if (found !== null) return found
    if (process.child.exitCode !== null) throw new Error(`it ended: ${process.output()}`)
    await Promise.race([
      once(process.child.stdout as NodeJS.ReadableStream, 'data'),
      once(process.child, 'exit'),
    ])
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const pattern = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31) % 251)

for (const engine of ['handle', 'dgram'] as const) {
  test(`udp (${engine}) is echoed by socat`, { skip: socat.skip }, async () => {
    const { socket: probe } = await bound()
    const { port } = probe.address
    await probe.close()
    await using server = start(socat.path, ['-u', `UDP4-RECV:${port},bind=127.0.0.1`, 'STDOUT'])
    const client = await udp({ engine }).connect(ip('127.0.0.1', port))
    listen(client)
    // socat says nothing when it is ready: what comes too early is refused, and sent again.
    for (let tries = 0; tries < 200 && !server.output().includes('to socat'); tries++) {
      client.send(Buffer.from('to socat\n'))
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    assert.match(server.output(), /to socat/)
    await client.close()
  })

  test(`udp (${engine}) hears socat and answers`, { skip: socat.skip }, async () => {
    const { socket, next } = await bound({ engine })
    const target = `UDP4:127.0.0.1:${socket.address.port}`
    await using client = start(socat.path, ['-t', '5', 'STDIO', target])
    client.child.stdin?.write('from socat\n')
    const { payload, from } = await next()
    assert.equal(payload.toString(), 'from socat\n')
    socket.send(Buffer.from('answer\n'), from)
    await printed(client, /answer/)
    await socket.close()
  })

  for (const [host, largest] of [
    ['127.0.0.1', 65_507],
    ['::1', 65_527],
  ] as const) {
    test(`udp (${engine}) and Python echo each other on ${host}`, {
      skip: python.skip,
    }, async () => {
      await using server = start(python.path, [PEER, 'echo', host])
      const port = Number((await printed(server, /port (\d+)/))[1])
      const client = await udp({ engine }).connect(ip(host, port))
      const next = listen(client)
      for (const length of [0, 1, 1_200, 9_000, largest]) {
        const sent = pattern(length)
        client.send(sent)
        assert.equal(digest((await next()).payload), digest(sent), `${length} bytes`)
        await printed(server, new RegExp(`heard ${length} ${digest(sent)}`))
      }
      await client.close()

      const { socket, next: heard } = await bound({ engine }, ip(host, 0))
      for (const length of [0, 1_200, largest]) {
        const asking = run(python.path, [PEER, 'send', host, `${socket.address.port}`, `${length}`])
        const { payload, from } = await heard()
        assert.equal(digest(payload), digest(pattern(length)))
        socket.send(payload, from)
        const { stdout } = await asking
        assert.equal(stdout.trim(), `answer ${length} ${digest(payload)} ${socket.address.port}`)
      }
      await socket.close()
    })
  }
}

test('udp reaches Python with the TTL that was asked for', { skip: python.skip }, async () => {
  for (const engine of ['handle', 'dgram'] as const) {
    await using peer = start(python.path, [PEER, 'ttl'])
    const port = Number((await printed(peer, /port (\d+)/))[1])
    const { socket } = await bound({ engine, ttl: 9 })
    socket.send(Buffer.from('hello'), ip('127.0.0.1', port))
    await printed(peer, /heard hello ttl 9/)
    await socket.close()
  }
})

test('udp multicast reaches Python with its TTL, and the reverse', {
  skip: python.skip,
}, async () => {
  const group = '239.255.78.1'
  await using member = start(python.path, [PEER, 'group', group, '127.0.0.1'])
  const port = Number((await printed(member, /port (\d+)/))[1])
  const { socket: sender } = await bound({ multicastInterface: '127.0.0.1', multicastTtl: 7 })
  sender.send(Buffer.from('hello'), ip(group, port))
  await printed(member, /heard hello ttl 7/)
  await sender.close()

  const memberships = [{ group, interface: '127.0.0.1' }]
  const { socket, next } = await bound({ memberships }, ip('0.0.0.0', 0))
  await run(python.path, [PEER, 'publish', group, `${socket.address.port}`, '127.0.0.1', '1'])
  assert.equal((await next()).payload.toString(), 'from python')
  await socket.close()
})

test('udp hears a broadcast of Python', { skip: python.skip }, async () => {
  const { socket, next } = await bound({}, ip('0.0.0.0', 0))
  await run(python.path, [PEER, 'broadcast', '127.255.255.255', `${socket.address.port}`])
  assert.equal((await next()).payload.toString(), 'to everybody')
  await socket.close()
})

test('udp broadcasts, and keeps to sources and loopback, in a network of its own', async (t) => {
  if (unshare.skip) return t.skip(unshare.skip)
  const script = join(import.meta.dirname, 'support/udp-namespace.ts')
  const words = ['--net', '--map-root-user', '--user', process.execPath, script]
  let output: string
  try {
    output = (await run(unshare.path, words)).stdout
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    if (/unshare failed|Operation not permitted|not supported/i.test(stderr)) {
      return t.skip(`no network namespace here: ${stderr.trim().split('\n')[0]}`)
    }
    throw error
  }
  assert.deepEqual(JSON.parse(output), {
    'broadcast without the option': false,
    'and why': ['10.77.0.255:9: not permitted; a broadcast address needs the option broadcast'],
    broadcast: 'to everybody',
    'multicast, loopback true': 'to the group',
    'multicast, loopback false': null,
    'multicast of another source': null,
    'IPv6 multicast': 'to the group',
    'no route': false,
    'no route, why': ['192.0.2.1:9: no route to its network'],
  })
})
