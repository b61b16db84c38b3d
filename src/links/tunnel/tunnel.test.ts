import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { ip, memory, unix } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { HeddleError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { httpConnectTunnel } from './http-connect-tunnel.ts'
import { socksTunnel } from './socks-tunnel.ts'

async function listen(onConnection: (socket: Socket) => void): Promise<Server & { port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, { port: (server.address() as AddressInfo).port })
}

/** Says hello first, then shouts. */
const shouter = await listen((socket) => {
  socket.write('hello ')
  socket.on('data', (chunk) => socket.write(chunk.toString().toUpperCase()))
  socket.on('end', () => socket.end())
})
test.after(() => shouter.close())

async function readOf(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const chunk = socket.read(count) as Buffer | null
    if (chunk !== null) return chunk
    await once(socket, 'readable')
  }
}

/** Joins the client with the target: what the target says first comes in one packet with `answer`. */
async function join(socket: Socket, port: number, answer: Buffer): Promise<void> {
  const target = connect(port, '127.0.0.1')
  target.on('error', () => socket.destroy())
  const first = await readOf(target, 6)
  socket.write(Buffer.concat([answer, first]))
  socket.pipe(target)
  target.pipe(socket)
}

/** A SOCKS proxy for one fixed user; the name `shouter` is known to nobody else. */
async function socksProxy(user?: string): Promise<Server & { port: number }> {
  return await listen(async (socket) => {
    const [version = 0] = await readOf(socket, 1)
    if (version === 4) {
      const [, p1 = 0, p2 = 0, , , , last = 0] = await readOf(socket, 7)
      const text = async (): Promise<string> => {
        for (let value = ''; ; ) {
          const [byte = 0] = await readOf(socket, 1)
          if (byte === 0) return value
          value += String.fromCharCode(byte)
        }
      }
      await text()
      const host = last === 1 ? await text() : 'none'
      if (host !== 'shouter') return void socket.end(Buffer.from([0, 91, 0, 0, 0, 0, 0, 0]))
      return await join(socket, (p1 << 8) | p2, Buffer.from([0, 90, 0, 0, 0, 0, 0, 0]))
    }
    const [count = 0] = await readOf(socket, 1)
    const methods = [...(await readOf(socket, count))]
    if (user !== undefined) {
      if (!methods.includes(2)) return void socket.end(Buffer.from([5, 255]))
      socket.write(Buffer.from([5, 2]))
      const [, length = 0] = await readOf(socket, 2)
      const name = (await readOf(socket, length)).toString()
      const [secret = 0] = await readOf(socket, 1)
      const password = (await readOf(socket, secret)).toString()
      if (`${name}:${password}` !== user) return void socket.end(Buffer.from([1, 1]))
      socket.write(Buffer.from([1, 0]))
    } else socket.write(Buffer.from([5, 0]))
    const [, , , type] = await readOf(socket, 4)
    assert.equal(type, 3)
    const [length = 0] = await readOf(socket, 1)
    const host = (await readOf(socket, length)).toString()
    const [p1 = 0, p2 = 0] = await readOf(socket, 2)
    if (host !== 'shouter') return void socket.end(Buffer.from([5, 4, 0, 1, 0, 0, 0, 0, 0, 0]))
    await join(socket, (p1 << 8) | p2, Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
  })
}

async function connectProxy(
  user?: string,
): Promise<Server & { port: number; heads: readonly string[] }> {
  const heads: string[] = []
  const server = await listen((socket) => {
    let head = ''
    const onData = async (chunk: Buffer): Promise<void> => {
      head += chunk.toString('latin1')
      if (!head.endsWith('\r\n\r\n')) return
      socket.off('data', onData)
      heads.push(head)
      const [, host, port] = /^CONNECT ([^:\s]+):(\d+) HTTP\/1\.1\r\n/.exec(head) ?? []
      const wanted = user && `proxy-authorization: Basic ${Buffer.from(user).toString('base64')}`
      if (wanted !== undefined && !head.includes(wanted)) {
        return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      }
      if (host !== 'shouter') return void socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      await join(socket, Number(port), Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))
    }
    socket.on('data', onData)
  })
  return Object.assign(server, { heads })
}

/** What comes back for `said`, until both sides have ended. */
function talk(connection: Connection, said: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    connection.open({
      onData: (chunk) => {
        text += Buffer.from(chunk).toString()
      },
      onDrain() {},
      onEnd() {},
      onClose: (reason) => (reason === undefined ? resolve(text) : reject(reason)),
    })
    connection.write(Buffer.from(said))
    connection.end()
  })
}

async function failure(call: Promise<unknown>): Promise<HeddleError> {
  return await call.then(
    () => assert.fail('it did not fail'),
    (error: HeddleError) => error,
  )
}

const target = ip('shouter', shouter.port)

for (const [name, start, make] of [
  [
    'socksTunnel 5',
    () => socksProxy(),
    (port: number) => socksTunnel({ proxy: ip('127.0.0.1', port) }),
  ],
  [
    'socksTunnel 5 with credentials',
    () => socksProxy('me:secret'),
    (port: number) =>
      socksTunnel({ proxy: ip('127.0.0.1', port), username: 'me', password: 'secret' }),
  ],
  [
    'socksTunnel 4a',
    () => socksProxy(),
    (port: number) => socksTunnel({ proxy: ip('127.0.0.1', port), version: 4 }),
  ],
  [
    'httpConnectTunnel',
    () => connectProxy(),
    (port: number) => httpConnectTunnel({ proxy: ip('127.0.0.1', port) }),
  ],
  [
    'httpConnectTunnel with credentials',
    () => connectProxy('me:secret'),
    (port: number) =>
      httpConnectTunnel({ proxy: ip('127.0.0.1', port), username: 'me', password: 'secret' }),
  ],
] as [string, () => Promise<Server & { port: number }>, (port: number) => Transport][]) {
  test(`${name} carries bytes both ways, those right behind the answer included`, async () => {
    const proxy = await start()
    const tunnel = make(proxy.port)
    assert.equal(
      await talk(await tunnel.connect(target), 'is anybody there'),
      'hello IS ANYBODY THERE',
    )
    proxy.close()
  })

  test(`${name} says that the target is out of reach, and nothing was sent`, async () => {
    const proxy = await start()
    const error = await failure(make(proxy.port).connect(ip('elsewhere', 80)))
    assert.equal(error.code, 'ERR_PROXY')
    assert.equal(error.sent, 'nothing')
    assert.doesNotMatch(`${error.message}${error.stack}`, /secret|c2VjcmV0/)
    proxy.close()
  })
}

for (const [name, start, make] of [
  [
    'socksTunnel',
    () => socksProxy('me:secret'),
    (port: number) => socksTunnel({ proxy: ip('127.0.0.1', port), username: 'me', password: 'no' }),
  ],
  [
    'httpConnectTunnel',
    () => connectProxy('me:secret'),
    (port: number) =>
      httpConnectTunnel({ proxy: ip('127.0.0.1', port), username: 'me', password: 'no' }),
  ],
] as [string, () => Promise<Server & { port: number }>, (port: number) => Transport][]) {
  test(`${name} with wrong credentials fails for good`, async () => {
    const proxy = await start()
    const error = await failure(make(proxy.port).connect(target))
    assert.equal(error.code, 'ERR_PROXY')
    if (name === 'httpConnectTunnel') {
      assert.equal(error.status, 407)
      assert.equal(error.retryable, 'no')
    }
    proxy.close()
  })

  test(`${name} gives up at the deadline and when aborted, and closes`, async () => {
    const closed: Promise<unknown>[] = []
    const proxy = await listen((socket) => {
      socket.resume().on('end', () => socket.end())
      closed.push(once(socket, 'close'))
    })
    const tunnel = make(proxy.port)
    const deadline = systemClock.now() + 30
    assert.equal((await failure(tunnel.connect(target, { deadline }))).code, 'ERR_CONNECT_TIMEOUT')
    const controller = new AbortController()
    const call = tunnel.connect(target, { signal: controller.signal })
    const reason = new Error('enough')
    setImmediate(() => controller.abort(reason))
    assert.equal(await failure(call), reason as HeddleError)
    await Promise.all(closed)
    proxy.close()
  })

  test(`${name} notices that the proxy hangs up or cannot be reached`, async () => {
    const proxy = await listen((socket) => socket.resume().end())
    const tunnel = make(proxy.port)
    const hungUp = await failure(tunnel.connect(target))
    assert.equal(hungUp.code, 'ERR_PROXY')
    assert.equal(hungUp.sent, 'nothing')
    proxy.close()
    await once(proxy, 'close')
    const refused = await failure(tunnel.connect(target))
    assert.equal(refused.code, 'ERR_PROXY')
    assert.equal((refused.cause as HeddleError).code, 'ERR_CONNECT_REFUSED')
    assert.equal(refused.retryable, 'yes')
  })
}

test('TunnelTransport asks for host and port only, and does not listen', async () => {
  const tunnel = socksTunnel({ proxy: ip('127.0.0.1', 1) })
  for (const address of [unix(`${tmpdir()}/x`), memory('x')]) {
    assert.equal((await failure(tunnel.connect(address))).code, 'ERR_ADDRESS_INVALID')
  }
  const listening = tunnel.listen(ip('127.0.0.1', 0), { onConnection() {} })
  assert.equal((await failure(listening)).code, 'ERR_OPTION_UNSUPPORTED')
})
