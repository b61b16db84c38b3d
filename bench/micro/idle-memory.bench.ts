/**
 * Memory of an idle connection, of every transport and of a gRPC channel against grpc-js: bytes for
 * one connection, both its ends (of gRPC the client's alone). Each kind has a process of its own.
 *
 * `heap` is the engine's heap and buffers outside of it, which repeats; RSS counts libraries, TLS and
 * pages too and wanders by some KiB. What the kernel holds for a socket is in neither.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Benchmark } from '../benchmark.ts'
import { script } from '../harness/contestant.ts'
import type { IdleFigures } from '../idle-one.ts'

const SCRIPT = join(import.meta.dirname, '../idle-one.ts')
/** How many are opened. Each WebRTC connection is some threads. */
const COUNTS: Readonly<Record<string, number>> = {
  tcp: 200,
  unix: 200,
  memory: 200,
  tls: 200,
  websocket: 200,
  'yamux stream': 200,
  'sealed tcp': 200,
  'compressed tcp': 200,
  'quic connection': 30,
  'quic stream': 100,
  webrtc: 10,
  'udp socket': 200,
  'grpc channel': 200,
  'grpc-js channel': 200,
}
const SMOKE_COUNT = 2

export const benchmark: Benchmark = {
  about: 'bytes of memory for an idle connection',
  async counters({ smoke }) {
    const counters: Record<string, number> = {}
    const directory = mkdtempSync(join(tmpdir(), 'heddle-idle-'))
    const settings = { certFile: '', keyFile: '', upstreamPort: 0, directory }
    // The same server for both kinds of client.
    const server = script({ name: 'grpc server', setup: '', file: 'grpc-heddle.ts' })
    const { port, stop } = await server.start(settings).then((running) => ({
      port: running.port,
      stop: () => running.stop(),
    }))
    const add = async (kind: string, count: number): Promise<void> => {
      const { heap, rss } = await measureIn(kind, count, port)
      counters[`${kind}: heap`] = Math.round(heap)
      counters[`${kind}: RSS`] = Math.round(rss)
    }
    try {
      const kinds = Object.entries(COUNTS)
      if (smoke) await Promise.all(kinds.map(([kind]) => add(kind, SMOKE_COUNT)))
      else for (const [kind, count] of kinds) await add(kind, count)
    } finally {
      await stop()
      rmSync(directory, { recursive: true, force: true })
    }
    return counters
  },
  variants: {},
}

async function measureIn(kind: string, count: number, port: number): Promise<IdleFigures> {
  const child = fork(SCRIPT, [kind, String(count), String(port)], {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
  })
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`${kind}: ended with ${code} and no figures`)
  })
  const [figures] = (await Promise.race([once(child, 'message'), exited])) as [IdleFigures]
  exited.catch(() => {})
  return figures
}
