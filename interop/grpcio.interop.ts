/**
 * gRPC with Python's grpcio (gRPC's C core), both directions: all four kinds, errors with details,
 * deadlines, cancellation, metadata, gzip and deflate, 1,000 calls at a time.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { grpcClient } from '../src/clients/grpc/grpc-client.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { Echo } from '../test/fixtures/echo/echo_pb.ts'
import { echoService } from '../test/support/echo-service.ts'
import { requirePeer } from './peers.ts'
import { GRPC_CHECKS } from './support/grpc-checks.ts'

const GRPCIO = '1.85.3'
const venv = requirePeer('python-venv')
const PEER = fileURLToPath(new URL('support/grpcio-peer.py', import.meta.url))

describe('gRPC with grpcio', { skip: venv.skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-grpcio-'))
  const python = join(folder, 'venv/bin/python')
  let missing: string | undefined

  before(() => {
    const made = spawnSync(venv.path, ['-m', 'venv', join(folder, 'venv')], { encoding: 'utf8' })
    const pip = ['-m', 'pip', 'install', '-q', '--only-binary', ':all:', `grpcio==${GRPCIO}`]
    const installed = made.status === 0 ? spawnSync(python, pip, { encoding: 'utf8' }) : made
    if (installed.status !== 0) missing = `grpcio cannot be installed: ${installed.stderr}`
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  for (const [name, check] of Object.entries(GRPC_CHECKS)) {
    test(`our client, grpcio server: ${name}`, { timeout: 60_000 }, async (context) => {
      if (missing !== undefined) return context.skip(missing)
      const child = run('server')
      try {
        const [line] = await once(createInterface({ input: child.stdout as never }), 'line')
        await using client = grpcClient(Echo, `http://127.0.0.1:${Number(line)}`)
        await check(client)
      } finally {
        child.kill('SIGKILL')
      }
    })
  }

  test('our client, grpcio server: gzip and deflate', { timeout: 60_000 }, async (context) => {
    if (missing !== undefined) return context.skip(missing)
    const child = run('server')
    try {
      const [line] = await once(createInterface({ input: child.stdout as never }), 'line')
      for (const compression of ['gzip', 'deflate'] as const) {
        const options = { compression, compressMinBytes: 0 }
        await using client = grpcClient(Echo, `http://127.0.0.1:${Number(line)}`, options)
        for (const length of [0, 10, 100_000]) {
          assert.equal((await client.say({ text: 'a'.repeat(length) })).text.length, length)
        }
      }
    } finally {
      child.kill('SIGKILL')
    }
  })

  // grpcio pings by itself to measure bandwidth: a server with gRPC's own rule bears that.
  for (const minPingIntervalMs of [0, 300_000])
    test(`grpcio client, our server, minPingIntervalMs ${minPingIntervalMs}`, {
      timeout: 120_000,
    }, async (context) => {
      if (missing !== undefined) return context.skip(missing)
      const http2 = { minPingIntervalMs }
      await using server = httpServer(echoService({ compression: ['gzip', 'deflate'] }), { http2 })
      const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
      const child = run('client', String(address.kind === 'ip' ? address.port : 0))
      const lines: string[] = []
      createInterface({ input: child.stdout as never }).on('line', (line) => lines.push(line))
      const [code] = await once(child, 'exit')
      assert.deepEqual(lines, [
        'unary',
        'metadata',
        'server streaming',
        'client streaming',
        'bidirectional',
        'errors',
        'deadlines and cancellation',
        '1,000 calls',
      ])
      assert.equal(code, 0)
      assert.equal(server.stats.accepted, 1, 'no connection was ended for its pings')
    })

  function run(...parameters: string[]): ChildProcess {
    return spawn(python, [PEER, ...parameters], { stdio: ['pipe', 'pipe', 'inherit'] })
  }
})
