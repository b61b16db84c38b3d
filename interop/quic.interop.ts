/**
 * QUIC with other people's stacks, both ways: ngtcp2 (Debian's gtlsclient and gtlsserver, which speak
 * HTTP/3, of which the few frames they need are made by hand here) and aioquic (raw QUIC).
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ip } from '../src/core/address.ts'
import type { Connection } from '../src/core/connection.ts'
import type { TransportError } from '../src/core/errors.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { DevAuthority } from '../src/security/dev-certificate.ts'
import { quic } from '../src/transports/quic/quic.ts'
import { quicAvailability } from '../src/transports/quic/quic-availability.ts'
import type { QuicOptions } from '../src/transports/quic/quic-options.ts'
import type { QuicConnection, QuicStream } from '../src/transports/quic/quic-types.ts'
import { requirePeer } from './peers.ts'
import { installAioquic, PythonPeer } from './support/aioquic.ts'

const client = requirePeer('gtlsclient')
const server = requirePeer('gtlsserver')
const venv = requirePeer('python-venv')
const { reason } = quicAvailability()
const skipOf = (peer: { skip: false | string }) => reason ?? peer.skip

const folder = mkdtempSync(join(tmpdir(), 'heddle-quic-'))
const authority = await DevAuthority.create(systemClock)
const { certificate, key } = await authority.issue()
const credentials = { certificate, key }
const { ca } = authority
const paths = {
  cert: join(folder, 'cert.pem'),
  key: join(folder, 'key.pem'),
  ca: join(folder, 'ca.pem'),
}
writeFileSync(paths.cert, certificate)
writeFileSync(paths.key, key)
writeFileSync(paths.ca, ca)
after(() => rmSync(folder, { recursive: true, force: true }))

const LENGTH = 200_000

/** Everything a stream says until its end. */
function read(stream: Connection): Promise<Buffer> {
  const chunks: Buffer[] = []
  return new Promise((resolve, reject) => {
    stream.open({
      onData: (chunk) => void chunks.push(Buffer.from(chunk)),
      onDrain() {},
      onEnd: () => resolve(Buffer.concat(chunks)),
      onClose: (error) => (error === undefined ? resolve(Buffer.concat(chunks)) : reject(error)),
    })
  })
}

async function ask(connection: QuicConnection, data: Uint8Array): Promise<Buffer> {
  const stream = connection.openStream() as QuicStream
  const answer = read(stream)
  stream.write(data)
  stream.end()
  return answer
}

/** An HTTP/3 frame (RFC 9114, 7.1) of less than 2^30 bytes. */
function frame(type: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head[0] = type
  head.writeUInt32BE((0x8000_0000 | payload.length) >>> 0, 1)
  return Buffer.concat([head, payload])
}

const CONTROL_STREAM = Buffer.of(0x00, 0x04, 0x00) // type 0, then SETTINGS without any

describe('quic with ngtcp2', () => {
  test('gtlsclient downloads 200,000 bytes', { skip: skipOf(client) }, async () => {
    const body = Buffer.alloc(LENGTH, 'heddle, ')
    const listener = await quic({ credentials, alpn: ['h3'] }).listen(ip('127.0.0.1', 0), {
      onConnection(connection) {
        connection.open({ onStream: serve, onStreamsAvailable() {}, onClose() {} })
        const control = connection.openStream({ direction: 'unidirectional' })
        void read(control as Connection)
        control?.write(CONTROL_STREAM)
      },
    })
    const serve = (stream: Connection): void => {
      if ((stream as QuicStream).direction === 'unidirectional') {
        void read(stream).catch(() => {})
        return
      }
      void read(stream).then(() => {})
      // `:status 200` is entry 25 of QPACK's static table.
      stream.writeAll([frame(1, Buffer.of(0, 0, 0xc0 | 25)), frame(0, body)])
      stream.end()
    }
    const { port } = listener.address as { port: number }
    const url = `https://localhost:${port}/file.bin`
    const options = ['-q', '--exit-on-all-streams-close', `--download=${folder}`]
    const run = spawn(client.path, [...options, '127.0.0.1', `${port}`, url], { stdio: 'ignore' })
    const [code] = (await once(run, 'exit')) as [number]
    assert.equal(code, 0)
    assert.deepEqual(readFileSync(join(folder, 'file.bin')), body)
    await listener.close({ signal: AbortSignal.abort() })
  })

  for (const validate of [false, true]) {
    const title = `gets a page from gtlsserver${validate ? ', with Retry' : ''}`
    test(title, { skip: skipOf(server) }, async () => {
      writeFileSync(join(folder, 'page.txt'), 'page '.repeat(10_000))
      const probe = await quic({ credentials }).listen(ip('127.0.0.1', 0), { onConnection() {} })
      const { port } = probe.address as { port: number }
      await probe.close()
      const options = ['-q', '-d', folder, ...(validate ? ['-V'] : [])]
      const parameters = [...options, '127.0.0.1', `${port}`, paths.key, paths.cert]
      const running = spawn(server.path, parameters, { stdio: 'ignore' })
      try {
        const connection = await dialUntilThere(port, { ca, alpn: ['h3'], serverName: 'localhost' })
        connection.open({
          onStream: (stream) => void read(stream).catch(() => {}),
          onStreamsAvailable() {},
          onClose() {},
        })
        connection.openStream({ direction: 'unidirectional' })?.write(CONTROL_STREAM)
        const authorityField = Buffer.concat([Buffer.of(0x50, 9), Buffer.from('localhost')])
        const path = Buffer.concat([Buffer.of(0x51, 9), Buffer.from('/page.txt')])
        const fields = Buffer.concat([Buffer.of(0, 0, 0xd1, 0xd7), authorityField, path])
        const answer = await ask(connection, frame(1, fields))
        assert.ok(answer.includes('page '.repeat(1_000)), `${answer.length} bytes without the page`)
        assert.ok(answer.length > 50_000)
        assert.equal(connection.facts.tls?.authorized, true)
        connection.destroy()
      } finally {
        running.kill()
        await once(running, 'exit')
      }
    })
  }
})

/** The server says nothing when it listens. */
async function dialUntilThere(port: number, options: QuicOptions): Promise<QuicConnection> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await quic(options).connect(ip('127.0.0.1', port))
    } catch (error) {
      if ((error as TransportError).code !== 'ERR_CONNECT_REFUSED' || attempt === 50) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

describe('quic with aioquic', () => {
  let python = ''
  let missing: string | undefined

  before(() => {
    if (skipOf(venv) !== false) return
    ;({ python, missing } = installAioquic(venv.path, folder))
  })

  test('asks an aioquic server: streams both ways, codes', {
    skip: skipOf(venv),
  }, async (context) => {
    if (missing !== undefined) return context.skip(missing)
    const peer = new PythonPeer(python, ['server', paths.cert, paths.key])
    try {
      const { port } = (await peer.next()) as { port: number }
      const options: QuicOptions = { ca, alpn: ['echo/1'], serverName: 'localhost' }
      const connection = await quic(options).connect(ip('127.0.0.1', port))
      const back = Promise.withResolvers<Buffer>()
      const closed = Promise.withResolvers<Error | undefined>()
      connection.open({
        onStream: (stream) => void read(stream).then(back.resolve, back.reject),
        onStreamsAvailable() {},
        onClose: closed.resolve,
      })
      const big = Buffer.alloc(LENGTH, 'x')
      assert.deepEqual(await ask(connection, big), big)
      const single = connection.openStream({ direction: 'unidirectional' })
      void read(single as Connection)
      single?.write(Buffer.from('one way'))
      single?.end()
      assert.equal(String(await back.promise), 'one way')
      await assert.rejects(askOpen(connection, 'reset'), { code: 'ERR_RESET', status: 99 })
      const given = connection.openStream() as QuicStream
      void read(given).catch(() => {})
      given.write(Buffer.from('x'))
      await new Promise((resolve) => setTimeout(resolve, 100))
      given.reset(77)
      // Its own reset was answered with one of 0.
      assert.deepEqual(await peer.next(), { reset: 0 })
      assert.deepEqual(await peer.next(), { reset: 77 })
      void askOpen(connection, 'close').catch(() => {})
      const error = (await closed.promise) as TransportError
      assert.equal(error.status, 42)
      assert.match(error.message, /asked to/)
      const other = await DevAuthority.create(systemClock)
      await refuses({ ...options, ca: other.ca }, port)
      await refuses({ ...options, serverName: 'other.example' }, port)
      await refuses({ ...options, alpn: ['other/1'] }, port)
      // And it is heard when it closes.
      const last = await quic(options).connect(ip('127.0.0.1', port))
      last.open({ onStream() {}, onStreamsAvailable() {}, onClose() {} })
      assert.equal(String(await ask(last, Buffer.from('x'))), 'x')
      await last.close({ code: 5, reason: 'bye' })
      for (;;) {
        const line = (await peer.next()) as { closed?: number; reason?: string }
        if (line.closed !== 5) continue
        assert.equal(line.reason, 'bye')
        break
      }
    } finally {
      await peer.stop()
    }
  })

  test('answers an aioquic client: streams both ways, codes', {
    skip: skipOf(venv),
  }, async (context) => {
    if (missing !== undefined) return context.skip(missing)
    const echo = quic({ credentials, alpn: ['echo/1'], codeOf: (told) => (told ? 42 : 0) })
    const listener = await echo.listen(ip('127.0.0.1', 0), {
      onConnection: answer,
    })
    const { port } = listener.address as { port: number }
    const peer = new PythonPeer(python, ['client', `${port}`, paths.ca, 'echo/1', 'localhost'])
    assert.deepEqual(await peer.next(), { echo: true, big: true })
    assert.deepEqual(await peer.next(), { many: 50 })
    assert.deepEqual(await peer.next(), { unidirectional: 'one way' })
    assert.deepEqual(await peer.next(), { reset: 99 })
    assert.deepEqual(await peer.next(), { closed: 42, reason: 'asked to' })
    await peer.stop()
    for (const wrong of [
      ['other/1', 'localhost'],
      ['echo/1', 'other.example'],
    ]) {
      const refused = new PythonPeer(python, ['client', `${port}`, paths.ca, ...wrong])
      assert.deepEqual(await refused.next(), { failed: true })
      await refused.stop()
    }
    await listener.close({ signal: AbortSignal.abort() })
  })
})

/** Echoes; answers a stream of one direction with one of its own; does what it is told. */
function answer(connection: QuicConnection): void {
  connection.open({
    onStream(stream) {
      const single = (stream as QuicStream).direction === 'unidirectional'
      let text = ''
      stream.open({
        onData(chunk) {
          text += Buffer.from(chunk).toString('latin1')
          if (!single) stream.write(chunk.slice())
          if (text === 'reset') (stream as QuicStream).reset(99)
          if (text === 'close') {
            connection.destroy(new Error('asked to'))
          }
        },
        onDrain() {},
        onEnd() {
          stream.end()
          if (!single) return
          const back = connection.openStream({ direction: 'unidirectional' })
          void read(back as Connection)
          back?.write(Buffer.from(text))
          back?.end()
        },
        onClose() {},
      })
    },
    onStreamsAvailable() {},
    onClose() {},
  })
}

/** Leaves its own side open. */
function askOpen(connection: QuicConnection, text: string): Promise<Buffer> {
  const stream = connection.openStream() as QuicStream
  const heard = read(stream)
  stream.write(Buffer.from(text))
  return heard
}

async function refuses(options: QuicOptions, port: number): Promise<void> {
  const attempt = (async () => {
    const connection = await quic(options).connect(ip('127.0.0.1', port))
    const gone = await new Promise<Error | undefined>((onClose) => {
      connection.open({ onStream() {}, onStreamsAvailable() {}, onClose })
    })
    throw gone
  })()
  await assert.rejects(attempt, { code: 'ERR_TLS' })
}
