/**
 * The contestant's side: what a file in `bench/peers` calls to say that it is ready, and what the
 * bench may ask of it. One message at a time, each answered by exactly one.
 */
import { flushCompileCache } from 'node:module'
import { createHistogram } from 'node:perf_hooks'

/** Given to every contestant as its first argument. */
export interface PeerSettings {
  /** PEM files for servers that also listen with TLS. */
  readonly certFile: string
  readonly keyFile: string
  /** Where a gateway sends everything; 0 for the others. */
  readonly upstreamPort: number
  /** Directory for what a program has to write. */
  readonly directory: string
  /** Which of several ways, for a file that serves more than one contestant. */
  readonly variant?: string
}

/** What a client contestant is asked to do: as many calls as it can in that time. */
export interface PeerRun {
  readonly mode: ClientMode
  readonly port: number
  readonly milliseconds: number
}

/**
 * `serial`: one call at a time. `parallel`: 64 at a time on 64 connections. `pipelined`: 10 at a
 * time on one connection.
 */
export type ClientMode = 'serial' | 'parallel' | 'pipelined'

export interface RunResult {
  readonly operations: number
  readonly errors: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export type ToPeer = { readonly type: 'gc' } | { readonly type: 'run'; readonly work: PeerRun }

export type FromPeer =
  | { readonly type: 'ready'; readonly port: number; readonly tlsPort: number }
  | { readonly type: 'collected' }
  | { readonly type: 'result'; readonly result: RunResult }
  | { readonly type: 'failed'; readonly message: string }

export function peerSettings(): PeerSettings {
  return JSON.parse(process.argv[2] ?? '{}') as PeerSettings
}

/** Tells the bench where to go, and answers it from now on. */
export function ready(
  ports: { port?: number; tlsPort?: number },
  run?: (work: PeerRun) => Promise<RunResult>,
): void {
  process.on('message', (message: ToPeer) => {
    if (message.type === 'gc') {
      for (let round = 0; round < GC_ROUNDS; round++) globalThis.gc?.()
      return say({ type: 'collected' })
    }
    if (run === undefined) return say({ type: 'failed', message: 'not a client' })
    run(message.work).then(
      (result) => say({ type: 'result', result }),
      (error: unknown) => say({ type: 'failed', message: String(error) }),
    )
  })
  // The bench ends its contestants by SIGKILL, which would lose what the cache has not written yet.
  flushCompileCache()
  // A bench that was killed must not leave contestants behind.
  process.on('disconnect', () => process.exit(0))
  say({ type: 'ready', port: ports.port ?? 0, tlsPort: ports.tlsPort ?? 0 })
}

/**
 * Runs `concurrency` loops of `call` for that long. `call` resolves with the length of the body it
 * read; every one is compared, so that a client that loses bytes cannot win.
 */
export async function callInLoops(
  milliseconds: number,
  concurrency: number,
  expectedLength: number,
  call: () => Promise<number>,
): Promise<RunResult> {
  const histogram = createHistogram()
  let operations = 0
  let errors = 0
  const started = performance.now()
  const end = started + milliseconds
  const loop = async (): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      const length = await call()
      const done = performance.now()
      histogram.record(Math.max(1, Math.round((done - now) * 1000)))
      now = done
      operations++
      if (length !== expectedLength) errors++
    }
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
  return {
    operations,
    errors,
    seconds: (performance.now() - started) / 1000,
    p50Ms: histogram.percentile(50) / 1000,
    p99Ms: histogram.percentile(99) / 1000,
  }
}

function say(message: FromPeer): void {
  process.send?.(message)
}

/** The second one takes what finalisers of the first let go. */
const GC_ROUNDS = 2
