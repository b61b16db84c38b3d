/**
 * Unreliable datagrams of QUIC (RFC 9221) on the second driver: between its own ends, and with aioquic
 * both ways, streams included.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ip } from '../src/core/address.ts'
import type { QuicConnection } from '../src/transports/quic/quic-types.ts'
import { requirePeer } from './peers.ts'
import { installAioquic, PythonPeer } from './support/aioquic.ts'
import {
  ask,
  BIG,
  ca,
  closing,
  credentials,
  dial,
  echo,
  IGNORE,
  listen,
  range,
  serve,
  skip,
  until,
} from './support/quiche-ends.ts'

const venv = requirePeer('python-venv')

describe('quic on quiche', { skip }, () => {
  describe('datagrams', () => {
    test('go both ways beside streams, up to the largest size', async () => {
      const port = await serve('quiche', {}, (connection) => {
        echo(connection)
        const socket = connection.datagrams()
        socket.open({
          onDatagram: (payload) => void socket.send(payload),
          onError() {},
          onClose() {},
        })
      })
      const connection = await dial('quiche', port)
      void closing(connection)
      const socket = connection.datagrams()
      assert.equal(socket, connection.datagrams())
      const { heard, closed } = listen(socket)
      assert.throws(() => socket.open(IGNORE), { code: 'ERR_ALREADY_OPEN' })
      await until(() => socket.maxPayloadBytes > 1_400)
      const most = socket.maxPayloadBytes
      const sizes = [0, 1, 1_156, most]
      for (const size of sizes) assert.equal(socket.send(Buffer.alloc(size, 7)), true)
      await until(() => heard.length === sizes.length)
      assert.deepEqual(
        heard.map((payload) => payload.length).sort((a, b) => a - b),
        sizes,
      )
      assert.ok(heard.every((payload) => payload.every((byte) => byte === 7)))
      assert.throws(() => socket.send(Buffer.alloc(most + 1)), { code: 'ERR_FRAME_TOO_LARGE' })
      assert.throws(() => socket.send(Buffer.of(1), ip('127.0.0.1', 1)), { code: 'ERR_ARGUMENT' })
      assert.equal(socket.droppedCount, 0)
      assert.equal(String(await ask(connection, Buffer.from('x'))), 'x')
      await connection.close()
      assert.equal(await closed, undefined)
      assert.equal(socket.send(Buffer.of(1)), false)
      assert.throws(() => socket.open(IGNORE), { code: 'ERR_STATE' })
    })

    test('those that a paused socket has no room for are dropped and counted', async () => {
      const accepted = Promise.withResolvers<QuicConnection>()
      const port = await serve('quiche', { maxPausedDatagrams: 10 }, (connection) => {
        echo(connection)
        accepted.resolve(connection)
      })
      const connection = await dial('quiche', port)
      void closing(connection)
      const theirs = (await accepted.promise).datagrams()
      for (let n = 0; n < 15; n++) connection.datagrams().send(Buffer.of(n))
      await until(() => theirs.droppedCount === 5)
      const { heard } = listen(theirs)
      await until(() => heard.length === 10)
      assert.deepEqual(
        heard.map(([first]) => first).sort((a = 0, b = 0) => a - b),
        range(10),
      )
      theirs.pause()
      for (let n = 0; n < 11; n++) connection.datagrams().send(Buffer.of(n))
      await until(() => theirs.droppedCount === 6)
      assert.equal(heard.length, 10)
      theirs.resume()
      await until(() => heard.length === 20)
      await connection.close()
    })

    test('what is sent at once and cannot leave is dropped and counted; nothing else is lost', async () => {
      const accepted = Promise.withResolvers<QuicConnection>()
      const port = await serve('quiche', {}, (connection) => {
        echo(connection)
        accepted.resolve(connection)
      })
      const connection = await dial('quiche', port)
      void closing(connection)
      const { heard } = listen((await accepted.promise).datagrams())
      const socket = connection.datagrams()
      let sent = 0
      for (let n = 0; n < 5_000; n++) if (socket.send(Buffer.alloc(100))) sent += 1
      assert.ok(sent <= 512, `${sent} were taken in one turn`)
      assert.equal(socket.droppedCount, 5_000 - sent)
      await until(() => heard.length === sent)
      await connection.close()
    })

    test('a peer without them takes none; OpenSSL, and who did not ask, has none', async () => {
      const port = await serve('openssl', { onWarning() {} }, echo)
      const connection = await dial('quiche', port)
      void closing(connection)
      assert.equal(connection.datagrams().send(Buffer.of(1)), false)
      assert.equal(connection.datagrams().droppedCount, 1)
      await connection.close()
      const unsupported = { code: 'ERR_OPTION_UNSUPPORTED' }
      const plain = await dial('quiche', port, { unreliableDatagrams: false })
      void closing(plain)
      assert.throws(() => plain.datagrams(), unsupported)
      await plain.close()
      const other = await dial('openssl', port)
      void closing(other)
      assert.throws(() => other.datagrams(), unsupported)
      await other.close()
    })
  })

  describe('with aioquic', () => {
    const folder = mkdtempSync(join(tmpdir(), 'heddle-quiche-'))
    const path = (name: string) => join(folder, name)
    let python = ''
    let missing: string | undefined
    before(() => {
      if (venv.skip !== false) return
      writeFileSync(path('cert'), credentials.certificate)
      writeFileSync(path('key'), credentials.key)
      writeFileSync(path('ca'), ca)
      ;({ python, missing } = installAioquic(venv.path, folder))
    })
    after(() => rmSync(folder, { recursive: true, force: true }))

    test('asks an aioquic server: streams, codes and datagrams', { skip: venv.skip }, async (t) => {
      if (missing !== undefined) return t.skip(missing)
      const peer = new PythonPeer(python, ['server', path('cert'), path('key')])
      const { port } = (await peer.next()) as { port: number }
      const connection = await dial('quiche', port)
      const ended = closing(connection)
      assert.deepEqual(await ask(connection, BIG.subarray(0, 200_000)), BIG.subarray(0, 200_000))
      const socket = connection.datagrams()
      const { heard } = listen(socket)
      for (const size of [0, 1, 1_000]) assert.equal(socket.send(Buffer.alloc(size, 9)), true)
      await until(() => heard.length === 3)
      assert.deepEqual(
        heard.map(({ length }) => length).sort((a, b) => a - b),
        [0, 1, 1_000],
      )
      const reset = ask(connection, Buffer.from('reset'), false)
      await assert.rejects(reset, { code: 'ERR_RESET', status: 99 })
      void ask(connection, Buffer.from('close'), false).catch(() => {})
      const error = await ended
      assert.equal(error?.status, 42)
      assert.match(String(error), /asked to/)
      await peer.stop()
    })

    test('answers an aioquic client: streams, codes and datagrams', {
      skip: venv.skip,
    }, async (t) => {
      if (missing !== undefined) return t.skip(missing)
      const port = await serve('quiche', { codeOf: (told) => (told ? 42 : 0) }, (connection) => {
        echo(connection)
        const socket = connection.datagrams()
        socket.open({ ...IGNORE, onDatagram: (payload) => void socket.send(payload) })
      })
      const peer = new PythonPeer(python, ['client', `${port}`, path('ca'), 'echo/1', 'localhost'])
      assert.deepEqual(await peer.next(), { echo: true, big: true })
      assert.deepEqual(await peer.next(), { many: 50 })
      assert.deepEqual(await peer.next(), { unidirectional: 'one way' })
      assert.deepEqual(await peer.next(), { reset: 99 })
      assert.deepEqual(await peer.next(), { closed: 42, reason: 'asked to' })
      await peer.stop()
      const other = new PythonPeer(python, ['datagrams', `${port}`, path('ca'), 'localhost'])
      for (const length of [0, 1, 1_000]) {
        assert.deepEqual(await other.next(), { length, same: true })
      }
      await other.stop()
    })
  })
})
