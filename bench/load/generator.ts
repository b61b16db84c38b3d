/**
 * The load generator that is always there, in a process of its own: raw sockets, one read buffer,
 * one write for everything that is due on a connection.
 */

import type { Socket } from 'node:net'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { runDatagrams } from './datagrams.ts'
import {
  type EchoJob,
  type HttpJob,
  type IdleJob,
  type Job,
  type JobAnswer,
  type LoadResult,
  requestBytes,
  type WebSocketJob,
} from './jobs.ts'
import {
  type LoadSocket,
  type LoadSockets,
  openLoadSockets,
  openNodeSocket,
} from './load-sockets.ts'
import { openStreams, releaseStreams } from './open-streams.ts'
import { ResponseCounter } from './response-counter.ts'
import { clientFrame, FrameCounter, upgradeRequest } from './websocket-frames.ts'

/** Turns received bytes into a number of complete answers. */
interface AnswerCounter {
  readonly errors: number
  push(chunk: Buffer): number
}

class EchoCounter implements AnswerCounter {
  readonly errors = 0
  readonly #messageBytes: number
  #partial = 0

  constructor(messageBytes: number) {
    this.#messageBytes = messageBytes
  }

  push(chunk: Buffer): number {
    const total = this.#partial + chunk.length
    this.#partial = total % this.#messageBytes
    return (total - this.#partial) / this.#messageBytes
  }
}

class Run {
  readonly #job: LoadJob
  readonly #message: Buffer
  /** `depth` messages in one piece, of which as many are sent as answers came. */
  readonly #messages: Buffer
  readonly #histogram: RecordableHistogram = createHistogram()
  readonly #counters: AnswerCounter[] = []
  readonly #onChunk: ((chunk: Buffer) => void)[] = []
  #requests = 0
  #running = true
  #failure: Error | undefined

  constructor(job: LoadJob) {
    this.#job = job
    this.#message = messageOf(job)
    this.#messages = Buffer.concat(Array.from({ length: job.depth }, () => this.#message))
  }

  async result(): Promise<LoadResult> {
    const { connections, milliseconds, tls } = this.#job
    using sockets = openLoadSockets(tls)
    const open = await Promise.all(Array.from({ length: connections }, () => this.#open(sockets)))
    const started = performance.now()
    for (const [index, socket] of open.entries()) this.#drive(index, socket)
    await sockets.serve(milliseconds)
    // A cold server may need longer for its first answer than a short run lasts.
    const answered = (): boolean => this.#requests > 0 || this.#failure !== undefined
    if (!answered()) await sockets.serve(PATIENCE_MS, answered)
    this.#running = false
    const seconds = (performance.now() - started) / 1000
    if (this.#failure !== undefined) throw this.#failure
    return {
      requests: this.#requests,
      errors: this.#counters.reduce((sum, counter) => sum + counter.errors, 0),
      seconds,
      p50Ms: this.#histogram.percentile(50) / 1000,
      p99Ms: this.#histogram.percentile(99) / 1000,
    }
  }

  async #open(sockets: LoadSockets): Promise<LoadSocket> {
    const index = this.#counters.length
    this.#counters.push(counterOf(this.#job))
    this.#onChunk.push(() => {})
    const socket = await sockets.open(this.#job.port, {
      onChunk: (chunk) => this.#onChunk[index]?.(chunk),
      onFailure: (error) => this.#fail(error),
    })
    await this.#greet(index, socket, sockets)
    return socket
  }

  /** Shakes hands where the protocol does. */
  async #greet(index: number, socket: LoadSocket, sockets: LoadSockets): Promise<void> {
    const job = this.#job
    if (job.type !== 'websocket') return
    let head = ''
    this.#onChunk[index] = (chunk) => {
      head += chunk.toString('latin1')
    }
    socket.write(upgradeRequest(job))
    const over = (): boolean => head.endsWith('\r\n\r\n') || this.#failure !== undefined
    await sockets.serve(PATIENCE_MS, over)
    const agreed = !job.deflate || head.includes('permessage-deflate')
    if (head.startsWith('HTTP/1.1 101') && agreed) return
    throw new Error(`no handshake: ${head.slice(0, 200)}`)
  }

  #fail(error: Error): void {
    if (this.#running) this.#failure ??= error
  }

  #drive(index: number, socket: LoadSocket): void {
    const counter = this.#counters[index] as AnswerCounter
    const messageBytes = this.#message.length
    // All messages of one write start their latency together.
    let sentAt = performance.now()
    this.#onChunk[index] = (chunk) => {
      let completed = 0
      try {
        completed = counter.push(chunk)
      } catch (error) {
        this.#fail(error as Error)
      }
      if (completed === 0 || !this.#running) return
      this.#requests += completed
      const now = performance.now()
      this.#histogram.record(Math.max(1, Math.round((now - sentAt) * 1000)))
      sentAt = now
      socket.write(this.#messages.subarray(0, completed * messageBytes))
    }
    socket.write(this.#messages)
  }
}

type LoadJob = HttpJob | EchoJob | WebSocketJob

function messageOf(job: LoadJob): Buffer {
  switch (job.type) {
    case 'http':
      return requestBytes(job.request)
    case 'echo':
      return Buffer.alloc(job.messageBytes, 'x')
    case 'websocket':
      return clientFrame(job)
  }
}

function counterOf(job: LoadJob): AnswerCounter {
  switch (job.type) {
    case 'http':
      return new ResponseCounter()
    case 'echo':
      return new EchoCounter(job.messageBytes)
    case 'websocket':
      return new FrameCounter(job.deflate ? undefined : job.messageBytes)
  }
}

let idle: Socket[] = []

async function openIdle(job: IdleJob): Promise<LoadResult> {
  const request =
    job.upgrade === true
      ? upgradeRequest({ port: job.port, deflate: false })
      : requestBytes(job.request)
  const open = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const counter = new ResponseCounter()
      const socket = openNodeSocket(
        job.port,
        job.tls,
        () => socket.write(request),
        (chunk) => {
          const answered = job.upgrade === true ? isUpgraded(chunk) : counter.push(chunk) > 0
          if (answered) resolve()
        },
      )
      socket.on('error', reject)
      idle.push(socket)
    })
  for (let opened = 0; opened < job.connections; opened += IDLE_BATCH) {
    const batch = Math.min(IDLE_BATCH, job.connections - opened)
    await Promise.all(Array.from({ length: batch }, open))
  }
  return { requests: job.connections, errors: 0, seconds: 0, p50Ms: 0, p99Ms: 0 }
}

/** The head of an answer is one chunk. */
function isUpgraded(chunk: Buffer): boolean {
  return chunk.toString('latin1').startsWith('HTTP/1.1 101 ')
}

function releaseIdle(): LoadResult {
  const open = idle.filter((socket) => !socket.destroyed && socket.readable).length
  for (const socket of idle) socket.destroy()
  idle = []
  return { requests: open + releaseStreams(), errors: 0, seconds: 0, p50Ms: 0, p99Ms: 0 }
}

async function work(job: Job): Promise<LoadResult> {
  switch (job.type) {
    case 'idle':
      return openIdle(job)
    case 'streams':
      await openStreams(job)
      return { requests: job.streams, errors: 0, seconds: 0, p50Ms: 0, p99Ms: 0 }
    case 'release':
      return releaseIdle()
    case 'datagrams':
      return runDatagrams(job)
    default:
      return new Run(job).result()
  }
}

process.on('message', (job: Job) => {
  const answer = (message: JobAnswer): unknown => process.send?.(message)
  work(job).then(
    (result) => answer({ type: 'result', result }),
    (error: Error) => answer({ type: 'failed', message: error.message }),
  )
})
process.on('disconnect', () => process.exit(0))

const IDLE_BATCH = 100
const PATIENCE_MS = 10_000
