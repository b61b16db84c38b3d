import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { afterEach, test } from 'node:test'
import { type Address, type IpAddress, ip, memory } from '../../core/address.ts'
import type { DatagramHandler } from '../../core/datagram-socket.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { udp } from './udp.ts'
import type { UdpOptions } from './udp-options.ts'
import type { UdpSocket } from './udp-socket.ts'

const LOCAL = ip('127.0.0.1', 0)
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some((one) => one.address === '::1'),
)
const ipv6 = hasIpv6 ? test : test.skip

/** Writes down what a socket hears; `next` waits for a datagram that has not been taken yet. */
class Inbox implements DatagramHandler {
  readonly heard: { readonly text: string; readonly length: number; readonly from: Address }[] = []
  readonly errors: Error[] = []
  #taken = 0
  #wake: (() => void) | undefined

  onDatagram(payload: Uint8Array, from: Address): void {
    const text = payload.length > 100 ? '' : Buffer.from(payload).toString('latin1')
    this.heard.push({ text, length: payload.length, from })
    this.#wake?.()
  }
  onError(error: Error): void {
    this.errors.push(error)
    this.#wake?.()
  }
  onClose(): void {}

  async next() {
    while (this.heard.length <= this.#taken) await this.changed()
    return this.heard[this.#taken++]!
  }

  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

async function bound(options: UdpOptions = {}, at: Address = LOCAL): Promise<[UdpSocket, Inbox]> {
  const socket = await udp(options).bind(at)
  opened.push(socket)
  const inbox = new Inbox()
  socket.open(inbox)
  return [socket, inbox]
}

// A test that fails must not keep the process alive.
const opened: UdpSocket[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((socket) => socket.close()))
})

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

for (const engine of ['handle', 'dgram'] as const) {
  test(`udp (${engine}) sends both ways and names the sender`, async () => {
    const [server, heard] = await bound({ engine })
    const [client, answers] = await bound({ engine })
    assert.equal(server.engine, engine)
    client.send(bytes('ping'), server.address)
    const ping = await heard.next()
    assert.deepEqual([ping.text, ping.from], ['ping', client.address])
    server.send(bytes('pong'), ping.from)
    assert.equal((await answers.next()).text, 'pong')
    assert.deepEqual([server.statistics.sent, server.statistics.received], [1, 1])
    await Promise.all([server.close(), client.close()])
  })

  test(`udp (${engine}) takes a payload of maxPayloadBytes and refuses one more`, async () => {
    const [server, heard] = await bound({ engine })
    assert.equal(server.maxPayloadBytes, 65_507)
    server.send(new Uint8Array(65_507), server.address)
    assert.equal((await heard.next()).length, 65_507)
    assert.throws(() => server.send(new Uint8Array(65_508), server.address), {
      code: 'ERR_FRAME_TOO_LARGE',
      message: 'datagram of 65508 bytes is over maxPayloadBytes 65507',
    })
    await server.close()
  })

  test(`udp (${engine}) drops and counts what arrives over maxPayloadBytes`, async () => {
    const [server, heard] = await bound({ engine, maxPayloadBytes: 10 })
    const [client] = await bound({ engine })
    client.send(new Uint8Array(11), server.address)
    client.send(new Uint8Array(10), server.address)
    assert.equal((await heard.next()).length, 10)
    assert.equal(server.statistics.oversizeDrops, 1)
    assert.equal(server.droppedCount, 1)
    await Promise.all([server.close(), client.close()])
  })

  test(`udp (${engine}) tells a connected socket that nobody is there, and goes on`, async () => {
    const [gone] = await bound({ engine })
    await gone.close()
    const socket = await udp({ engine }).connect(gone.address)
    const inbox = new Inbox()
    socket.open(inbox)
    socket.send(bytes('anybody?'))
    await inbox.changed()
    assert.equal((inbox.errors[0] as { code?: string }).code, 'ERR_CONNECT_REFUSED')
    const [back, heard] = await bound({ engine }, gone.address)
    socket.send(bytes('now'))
    assert.equal((await heard.next()).text, 'now')
    await Promise.all([socket.close(), back.close()])
  })

  test(`udp (${engine}) counts what the kernel refuses and says why`, async () => {
    const [socket, inbox] = await bound({ engine })
    // No `broadcast`.
    socket.send(bytes('x'), ip('255.255.255.255', 9))
    await inbox.changed()
    assert.match(String(inbox.errors[0]), /needs the option broadcast|no route/)
    await socket.close()
  })

  ipv6(`udp (${engine}) speaks IPv6, and gives IPv4 peers of a dual socket as IPv4`, async () => {
    const [dual, heard] = await bound({ engine }, ip('::', 0))
    assert.equal(dual.maxPayloadBytes, 65_527)
    const [four, answers] = await bound({ engine })
    const [six] = await bound({ engine }, ip('::1', 0))
    four.send(bytes('4'), ip('127.0.0.1', dual.address.port))
    const first = await heard.next()
    assert.deepEqual(first.from, four.address)
    dual.send(bytes('back'), first.from)
    assert.equal((await answers.next()).text, 'back')
    six.send(bytes('6'), ip('::1', dual.address.port))
    assert.deepEqual((await heard.next()).from, six.address)
    await Promise.all([dual.close(), four.close(), six.close()])
  })
}

ipv6('udp refuses IPv4 targets with ipv6Only, and IPv6 targets on IPv4', async () => {
  const [six] = await bound({ ipv6Only: true }, ip('::', 0))
  const [four] = await bound()
  const invalid = { code: 'ERR_ADDRESS_INVALID' }
  assert.throws(() => six.send(bytes('x'), ip('127.0.0.1', 9)), invalid)
  assert.throws(() => four.send(bytes('x'), ip('::1', 9)), invalid)
  await Promise.all([six.close(), four.close()])
})

ipv6('udp takes 65,527 bytes on IPv6 and refuses one more', async () => {
  const [six, heard] = await bound({}, ip('::1', 0))
  six.send(new Uint8Array(65_527), six.address)
  assert.equal((await heard.next()).length, 65_527)
  assert.throws(() => six.send(new Uint8Array(65_528), six.address), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
  await six.close()
})

test('udp joins a group, hears it, leaves it, and refuses to leave it again', async () => {
  const group = '239.255.77.1'
  const [receiver, heard] = await bound(
    { memberships: [{ group, interface: '127.0.0.1' }], reuseAddress: true },
    ip('0.0.0.0', 0),
  )
  const [sender] = await bound({ multicastInterface: '127.0.0.1', multicastTtl: 0 })
  const to = ip(group, receiver.address.port)
  sender.send(bytes('all'), to)
  assert.equal((await heard.next()).text, 'all')
  assert.throws(() => receiver.join({ group, interface: '127.0.0.1' }), { code: 'ERR_LISTEN' })
  receiver.leave({ group, interface: '127.0.0.1' })
  assert.throws(() => receiver.leave({ group, interface: '127.0.0.1' }), {
    code: 'ERR_LISTEN',
    message: /not joined/,
  })
  await Promise.all([receiver.close(), sender.close()])
})

test('udp joins one source of a group only', async () => {
  const group = '232.1.2.3'
  const membership = { group, source: '127.0.0.1', interface: '127.0.0.1' }
  const [receiver, heard] = await bound({}, ip('0.0.0.0', 0))
  receiver.join(membership)
  const [sender] = await bound({ multicastInterface: '127.0.0.1' })
  sender.send(bytes('one'), ip(group, receiver.address.port))
  assert.equal((await heard.next()).text, 'one')
  receiver.leave(membership)
  await Promise.all([receiver.close(), sender.close()])
})

test('udp refuses a group that is none and an interface that does not exist', async () => {
  const [socket] = await bound()
  const invalid = { code: 'ERR_ADDRESS_INVALID' }
  assert.throws(() => socket.join({ group: '10.0.0.1' }), invalid)
  assert.throws(() => socket.join({ group: 'ff02::1' }), invalid)
  assert.throws(() => socket.join({ group: '239.1.1.1', interface: 'nope0' }), invalid)
  await assert.rejects(udp({ multicastInterface: 'nope0' }).bind(LOCAL), invalid)
  await socket.close()
})

test('udp sets TTL, buffers and broadcast, and tells what the kernel gave', async () => {
  const options = { ttl: 3, broadcast: true, receiveBufferBytes: 65_536, sendBufferBytes: 32_768 }
  const [socket] = await bound(options)
  assert.ok(socket.receiveBufferBytes >= 65_536, String(socket.receiveBufferBytes))
  assert.ok(socket.sendBufferBytes >= 32_768, String(socket.sendBufferBytes))
  await socket.close()
})

test('udp wants the zone of a link-local address', async () => {
  await assert.rejects(udp().connect(ip('fe80::1', 53)), {
    code: 'ERR_ADDRESS_INVALID',
    message: /link-local and needs a zone, as in fe80::1%eth0/,
  })
})

test('udp shares a port with reuseAddress only', async () => {
  const [first] = await bound({ reuseAddress: true })
  const [second] = await bound({ reuseAddress: true }, first.address)
  await assert.rejects(udp().bind(first.address), { code: 'ERR_ADDRESS_IN_USE' })
  await Promise.all([first.close(), second.close()])
})

test('udp refuses options that are unknown, out of range or out of reach', () => {
  const unknown = { tll: 3 } as unknown as UdpOptions
  assert.throws(() => udp(unknown), { code: 'ERR_OPTION_UNKNOWN' })
  for (const options of [
    { ttl: 0 },
    { ttl: 256 },
    { multicastTtl: -1 },
    { multicastTtl: 256 },
    { maxPayloadBytes: 65_528 },
    { maxPayloadBytes: -1 },
    { localPort: 65_536 },
    { rateLimit: { datagramsPerSecond: 0 } },
    { amplification: { maxPeers: 0 } },
    { engine: 'fast' as 'auto' },
    { family: 5 as 4 },
  ] satisfies UdpOptions[]) {
    assert.throws(() => udp(options), { code: 'ERR_OPTION_RANGE' }, JSON.stringify(options))
  }
  for (const options of [{ typeOfService: 1 }, { dontFragment: true }, { bindToDevice: 'lo' }]) {
    assert.throws(() => udp(options), { code: 'ERR_OPTION_UNSUPPORTED' })
  }
})

test('udp resolves names once, through lookup, and refuses them in send', async () => {
  const asked: string[] = []
  const lookup = async (host: string) => {
    asked.push(host)
    return [
      { address: '::1', family: 6 as const },
      { address: '127.0.0.1', family: 4 as const },
    ]
  }
  const transport = udp({ lookup, family: 4 })
  assert.deepEqual(await transport.resolve(ip('here.example', 53)), ip('127.0.0.1', 53))
  const [server, heard] = await bound()
  const client = await transport.connect(ip('here.example', server.address.port))
  client.send(bytes('hi'))
  assert.equal((await heard.next()).text, 'hi')
  assert.deepEqual(asked, ['here.example', 'here.example'])
  assert.throws(() => server.send(bytes('x'), ip('here.example', 9)), {
    code: 'ERR_ADDRESS_INVALID',
    message: /resolve a name once/,
  })
  await Promise.all([server.close(), client.close()])
})

test('udp gives up resolving at the time limit, the deadline and on abort', async () => {
  const clock = new ManualClock()
  const lookup = () => new Promise<never>(() => {})
  const transport = udp({ clock, lookup, resolveTimeoutMs: 500 })
  const late = assert.rejects(transport.bind(ip('slow.example', 1)), {
    code: 'ERR_CONNECT_TIMEOUT',
    sent: 'nothing',
  })
  await clock.advanceAsync(500)
  await late
  const deadline = clock.now() + 10
  const past = assert.rejects(transport.connect(ip('slow.example', 1), { deadline }), {
    code: 'ERR_CONNECT_TIMEOUT',
  })
  await clock.advanceAsync(10)
  await past
  const abort = new AbortController()
  const reason = new Error('changed my mind')
  const aborted = assert.rejects(
    transport.bind(ip('slow.example', 1), { signal: abort.signal }),
    reason,
  )
  abort.abort(reason)
  await aborted
  assert.equal(clock.pendingTimers, 0)
})

test('udp limits what one source may send and counts the rest', async () => {
  const clock = new ManualClock()
  const rateLimit = { datagramsPerSecond: 10, burst: 3 }
  const [server, heard] = await bound({ clock, rateLimit })
  const [client] = await bound()
  const [other] = await bound({}, ip('127.0.0.2', 0))
  for (let count = 0; count < 4; count++) client.send(bytes(String(count)), server.address)
  other.send(bytes('other'), server.address)
  while (heard.heard.length < 4) await heard.changed()
  assert.deepEqual(
    heard.heard.map((one) => one.text),
    ['0', '1', '2', 'other'],
  )
  assert.equal(server.statistics.rateLimitDrops, 1)
  clock.advance(100)
  client.send(bytes('again'), server.address)
  while (heard.heard.length < 5) await heard.changed()
  await Promise.all([server.close(), client.close(), other.close()])
})

test('udp sends no more than it received until the source has proven itself', async () => {
  const [server, heard] = await bound({ amplification: {} })
  const [client, answers] = await bound()
  client.send(bytes('four'), server.address)
  const { from } = await heard.next()
  assert.equal(server.send(bytes('five!'), from), false)
  assert.equal(server.send(bytes('fou'), from), true)
  assert.equal(server.send(bytes('r'), from), true)
  assert.equal(server.send(bytes('x'), from), false)
  server.proveReachable(from)
  assert.equal(server.send(bytes('as much as it likes'), from), true)
  assert.equal(server.statistics.amplificationDrops, 2)
  while (answers.heard.length < 3) await answers.changed()
  await Promise.all([server.close(), client.close()])
})

const linux = process.platform === 'linux' ? test : test.skip
linux('udp spreads peers over sockets with reusePort, each datagram to one of them', async () => {
  const [first, one] = await bound({ reusePort: true })
  const [second, two] = await bound({ reusePort: true }, first.address)
  const clients = await Promise.all(Array.from({ length: 64 }, () => bound()))
  for (const [client] of clients) client.send(bytes('x'), first.address)
  while (one.heard.length + two.heard.length < 64) {
    await Promise.race([one.changed(), two.changed()])
  }
  // All of 64 to one of two: a chance of 2 in 2^64.
  assert.ok(one.heard.length > 0 && two.heard.length > 0, `${one.heard.length} of 64`)
  const all = [first, second, ...clients.map(([client]) => client)]
  await Promise.all(all.map((socket) => socket.close()))
})

linux('udp tells how many datagrams the kernel dropped while nobody read', async () => {
  const [receiver, heard] = await bound({ engine: 'handle', receiveBufferBytes: 8_192 })
  const [sender] = await bound()
  assert.equal(receiver.kernelDropCount(), 0)
  receiver.pause()
  for (let count = 0; count < 100; count++) sender.send(new Uint8Array(1_000), receiver.address)
  const dropped = receiver.kernelDropCount() ?? 0
  assert.ok(dropped > 0 && dropped < 100, `${dropped} dropped`)
  receiver.resume()
  while (heard.heard.length < 100 - dropped) await heard.changed()
  assert.equal(receiver.droppedCount, 0)
  await receiver.close()
  assert.equal(receiver.kernelDropCount(), undefined)
})

test('udp keeps the process alive unless it is told not to', async () => {
  const alive = (): number =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith('UDP')).length
  const before = alive()
  const [socket] = await bound()
  assert.equal(alive(), before + 1)
  socket.unref()
  assert.equal(alive(), before)
  socket.ref()
  assert.equal(alive(), before + 1)
  await socket.close()
})

test('udp counts what is sent after the close, and throws for no other reason', async () => {
  const [socket] = await bound()
  const to: IpAddress = ip('127.0.0.1', 9)
  await socket.close()
  assert.equal(socket.send(bytes('late'), to), false)
  assert.equal(socket.droppedCount, 1)
  assert.throws(() => socket.send(bytes('x'), memory('name')), { code: 'ERR_ADDRESS_INVALID' })
})
