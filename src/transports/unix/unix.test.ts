import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
  Acceptor,
  connectPair,
  patternChecker,
  Recorder,
  sendReusingRegion,
} from '../../../test/transports/recorder.ts'
import type { UnixAddress } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { nodePath, unix } from './unix.ts'
import { resolveUnixOptions, type UnixOptions } from './unix-options.ts'

const directory = mkdtempSync(join(tmpdir(), 'heddle-unix-'))
after(() => rmSync(directory, { recursive: true }))
let count = 0
const fresh = (): UnixAddress => ({ kind: 'unix', path: join(directory, `${count++}.sock`) })
const nobody = { onConnection: (connection: Connection) => connection.destroy() }
const linux = process.platform === 'linux'

for (const engine of ['handle', 'net'] as const) {
  const transport = unix({ engine })

  test(`unix (${engine}) carries bytes both ways and closes cleanly`, async () => {
    const address = fresh()
    await using pair = await connectPair(transport, address)
    const client = new Recorder()
    const server = new Recorder((chunk) => pair.server.write(chunk.slice()))
    pair.client.open(client)
    pair.server.open(server)
    pair.client.writeAll([Buffer.from('ping '), Buffer.alloc(2_000, 'x')])
    await client.received(2_005)
    pair.client.end()
    await server.ended
    pair.server.end()
    assert.deepEqual(await Promise.all([client.closed, server.closed]), [undefined, undefined])
    assert.deepEqual(pair.client.facts.remote, address)
    assert.deepEqual(pair.server.facts.local, address)
    assert.equal(pair.server.facts.transport, 'unix')
    await pair.listener.close()
    assert.equal(existsSync(address.path), false, 'the file goes with its listener')
  })

  test(`unix (${engine}) leaves a region alone once writableLength is 0`, async () => {
    await using pair = await connectPair(transport, fresh())
    const { check, length } = patternChecker()
    const reader = new Recorder((chunk) => {
      check(chunk)
      pair.client.pause()
      setImmediate(() => pair.client.resume())
    })
    const writer = new Recorder()
    pair.server.open(writer)
    const total = 16 * 1024 * 1024
    const { waits } = sendReusingRegion(pair.server, writer, 48 * 1024, total)
    pair.client.open(reader)
    await reader.ended
    assert.equal(length(), total)
    assert.ok(waits() > 0, 'the writer never had to wait: nothing was proven')
  })

  test(`unix (${engine}) refuses when nobody listens`, async () => {
    const { path } = fresh()
    await assert.rejects(transport.connect({ kind: 'unix', path }), {
      code: 'ERR_CONNECT_REFUSED',
      sent: 'nothing',
      message: `unix:${path} does not exist`,
    })
    makeStale(path)
    await assert.rejects(transport.connect({ kind: 'unix', path }), {
      code: 'ERR_CONNECT_REFUSED',
      message: `unix:${path} refused the connection`,
    })
  })
}

test('unix holds newcomers while paused, and closes those over the limit', async () => {
  const transport = unix({ maxPausedConnections: 2 })
  await using acceptor = await Acceptor.listen(transport, fresh())
  const { listener, address } = acceptor
  listener.pause()
  const clients = [1, 2, 3].map(() => transport.connect(address))
  const error = await acceptor.nextError()
  assert.equal(error.code, 'ERR_LIMITED')
  assert.match(error.message, /more than 2 connections came while the listener was paused/)
  assert.equal(acceptor.connections.length, 0)
  listener.resume()
  assert.equal(acceptor.connections.length, 2)
  for (const connection of await Promise.all(clients)) connection.destroy()
})

test('unix makes the socket with its mode and puts the mask back', async () => {
  const before = process.umask()
  const tight = await unix().listen(fresh(), nobody)
  const open = await unix({ mode: 0o666 }).listen(fresh(), nobody)
  assert.equal(modeOf(tight.address as UnixAddress), 0o600)
  assert.equal(modeOf(open.address as UnixAddress), 0o666)
  assert.equal(process.umask(), before)
  await Promise.all([tight.close(), open.close()])
})

test('unix sets the mode in a worker thread, which has no mask of its own', async () => {
  const { path } = fresh()
  const module = new URL('./unix.ts', import.meta.url).href
  const worker = new Worker(
    `import(${JSON.stringify(module)}).then(async ({ unix }) => {
       await unix().listen({ kind: 'unix', path: ${JSON.stringify(path)} }, { onConnection() {} })
       require('node:worker_threads').parentPort.postMessage('listening')
     })`,
    { eval: true },
  )
  await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  assert.equal(modeOf({ kind: 'unix', path }), 0o600)
  await worker.terminate()
})

test('unix replaces the socket of a listener that is gone', async () => {
  const address = fresh()
  makeStale(address.path)
  const before = lstatSync(address.path, { bigint: true })
  await assert.rejects(unix({ removeStale: false }).listen(address, nobody), {
    code: 'ERR_ADDRESS_IN_USE',
  })
  await using pair = await connectPair(unix(), address)
  assert.notEqual(lstatSync(address.path, { bigint: true }).mtimeNs, before.mtimeNs)
  pair.client.destroy()
})

test('unix never removes what is not a dead socket', async () => {
  const file = fresh()
  writeFileSync(file.path, 'precious')
  const folder = fresh()
  mkdirSync(folder.path)
  const target = fresh()
  makeStale(target.path)
  const link = fresh()
  symlinkSync(target.path, link.path)
  for (const address of [file, folder, link]) {
    await assert.rejects(unix().listen(address, nobody), {
      code: 'ERR_ADDRESS_IN_USE',
      message: `unix:${address.path} is in use: what is there is not a socket`,
    })
    assert.ok(lstatSync(address.path))
  }
  assert.ok(lstatSync(target.path).isSocket())
  await using live = await unix().listen(fresh(), nobody)
  await assert.rejects(unix().listen(live.address, nobody), {
    code: 'ERR_ADDRESS_IN_USE',
    message: /somebody listens on it/,
  })
  await using pair = await connectPair(unix(), fresh())
  assert.ok(pair.client)
})

test('nodePath refuses what a system has no socket for, and says which system', () => {
  const named = (length: number): UnixAddress => ({ kind: 'unix', path: 'a'.repeat(length) })
  for (const [system, most] of [
    ['linux', 107],
    ['darwin', 103],
  ] as const) {
    assert.equal(nodePath(named(most), system).length, most)
    const message = new RegExp(`${most + 1} bytes are over the ${most} of a socket path`)
    const expected = { code: 'ERR_ADDRESS_INVALID', message }
    assert.throws(() => nodePath(named(most + 1), system), expected)
  }
  assert.equal(nodePath(named(200), 'win32').length, 200)
  for (const system of ['darwin', 'win32']) {
    const message = new RegExp(`abstract names exist on Linux only, and this is ${system}`)
    const expected = { code: 'ERR_OPTION_UNSUPPORTED', message }
    assert.throws(() => nodePath({ kind: 'unix', path: 'a', abstract: true }, system), expected)
  }
})

test('unix listens on abstract names', { skip: !linux }, async () => {
  const address: UnixAddress = { kind: 'unix', path: `heddle-${process.pid}`, abstract: true }
  await using pair = await connectPair(unix(), address)
  const client = new Recorder()
  pair.client.open(client)
  pair.server.open(new Recorder())
  pair.server.write(Buffer.from('abstract'))
  await client.received(8)
  assert.equal(existsSync(address.path), false)
})

test('unix refuses a path at one byte over what a socket address holds', async () => {
  const most = linux ? 107 : 103
  const path = join(directory, 'x'.repeat(most - directory.length - 1))
  await (await unix().listen({ kind: 'unix', path }, nobody)).close()
  await assert.rejects(unix().listen({ kind: 'unix', path: `${path}x` }, nobody), {
    code: 'ERR_ADDRESS_INVALID',
    message: new RegExp(`: ${most + 1} bytes are over the ${most} of a socket path`),
  })
  for (const bad of ['', 'a\0b']) {
    await assert.rejects(unix().connect({ kind: 'unix', path: bad }), {
      code: 'ERR_ADDRESS_INVALID',
    })
  }
})

test('unix accepts each limit of its options and refuses one past it', () => {
  const limits: [name: keyof UnixOptions, min: number, max: number][] = [
    ['mode', 0, 0o777],
    ['connectTimeoutMs', 1, 3_600_000],
    ['highWaterMarkBytes', 0, 0x4000_0000],
    ['readBufferBytes', 256, 0x100_0000],
    ['maxPausedConnections', 0, 65_535],
  ]
  for (const [name, min, max] of limits) {
    for (const value of [min, max]) resolveUnixOptions({ [name]: value })
    for (const value of [min - 1, max + 1]) {
      assert.throws(() => resolveUnixOptions({ [name]: value }), { code: 'ERR_OPTION_RANGE' })
    }
  }
  const unknown = { path: '/x' } as UnixOptions
  assert.throws(() => resolveUnixOptions(unknown), { code: 'ERR_OPTION_UNKNOWN' })
})

function modeOf(address: UnixAddress): number {
  return lstatSync(address.path).mode & 0o777
}

/** A listener that dies without cleaning up. */
function makeStale(path: string): void {
  const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', code])
  assert.ok(lstatSync(path).isSocket())
}
