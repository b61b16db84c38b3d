/**
 * Whether this Node's stream handles behave as `HandleConnection` relies on: looked at, then tried
 * once per thread on a loopback pair before the first connection uses them.
 *
 * What is tried: accepting a raw handle, reading into given memory, replacing that memory from
 * `onread`, a write that the kernel takes at once and leaves its request untouched, a write that
 * libuv finishes later, a shutdown behind it, the end of the peer's stream, the close callback.
 */
import { connect, createServer, type Server } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { toError, UsageError } from '../../core/errors.ts'
import {
  type ListeningHandle,
  loadStreamHandles,
  type ShutdownRequest,
  type StreamHandle,
  type StreamHandles,
  type WriteRequest,
} from './stream-handle.ts'

export type StreamEngine = 'auto' | 'handle' | 'net'

/**
 * The handles to use, or undefined for `net.Socket`.
 *
 * @throws UsageError ERR_OPTION_UNSUPPORTED when `handle` was asked for and cannot be had
 */
export async function chooseEngine(
  engine: StreamEngine,
  clock: Clock,
): Promise<StreamHandles | undefined> {
  if (engine === 'net') return undefined
  verdict ??= examine(clock)
  const handles = await verdict
  if (typeof handles !== 'string') return handles
  if (engine === 'auto') return undefined
  throw new UsageError('ERR_OPTION_UNSUPPORTED', `engine 'handle' does not work here: ${handles}`)
}

/** Why the fast path is not used; undefined when it is. For `heddle transports` and reports. */
export async function handleEngineProblem(clock: Clock): Promise<string | undefined> {
  verdict ??= examine(clock)
  const handles = await verdict
  return typeof handles === 'string' ? handles : undefined
}

async function examine(clock: Clock): Promise<StreamHandles | string> {
  const handles = loadStreamHandles()
  if (typeof handles === 'string') return handles
  try {
    await selfTest(handles, clock)
    return handles
  } catch (error) {
    return `the self-test failed: ${toError(error).message}`
  }
}

/** @throws what went differently */
export function selfTest(handles: StreamHandles, clock: Clock): Promise<void> {
  const server = createServer({ pauseOnConnect: true })
  return new Promise<void>((resolve, reject) => {
    const timer = clock.setTimer(clock.now() + SELF_TEST_MS, () => {
      reject(new Error(`not finished after ${SELF_TEST_MS} ms`))
    })
    const settle = (error?: Error) => {
      timer.cancel()
      if (error === undefined) resolve()
      else reject(error)
    }
    server.once('error', settle)
    server.listen(0, '127.0.0.1', 1, () => {
      try {
        converse(server, handles, settle)
      } catch (error) {
        settle(toError(error))
      }
    })
  }).finally(() => server.close())
}

function converse(server: Server, handles: StreamHandles, settle: (error?: Error) => void): void {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const listening = (server as unknown as { _handle: ListeningHandle })._handle
  const client = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
  const fail = (error: unknown) => {
    client.destroy()
    settle(toError(error))
  }
  const total = { bytes: GREETING.length }
  let receivedBytes = 0
  client.on('error', fail)
  client.on('connect', () => client.write(GREETING))
  client.on('data', (chunk: Uint8Array) => {
    if (receivedBytes === 0 && chunk[0] !== GREETING[0]) fail(new Error('the echo differs'))
    if (receivedBytes < GREETING.length) {
      // Not reading for a moment fills the kernel's buffers, so that the next write must wait.
      client.write(GREETING)
      client.pause()
    }
    receivedBytes += chunk.length
  })
  client.on('end', () => {
    if (receivedBytes === total.bytes) client.end()
    else fail(new Error(`${receivedBytes} bytes arrived instead of ${total.bytes}`))
  })
  listening.onconnection = (status, handle) => {
    if (status !== 0 || handle === undefined) return fail(new Error(`accept gave ${status}`))
    try {
      playServer(handle, handles, total, () => client.resume(), settle, fail)
    } catch (error) {
      fail(error)
    }
  }
}

/** The accepting side, written as `HandleConnection` works. */
function playServer(
  handle: StreamHandle,
  handles: StreamHandles,
  total: { bytes: number },
  readOn: () => void,
  done: () => void,
  fail: (error: unknown) => void,
): void {
  const { state } = handles
  const first = new Uint8Array(256)
  const second = new Uint8Array(256)
  let reads = 0
  handle.onread = () => {
    const count = state[handles.readResult] as number
    reads += 1
    try {
      if (reads === 1) {
        expectBytes(first, count, 'the first read')
        expectSyncWrite(handle, handles, first.subarray(0, count))
        return second
      }
      if (reads === 2) {
        expectBytes(second, count, 'the read after a swap')
        writeLong(handle, handles, total, fail)
        readOn()
      } else if (count === UV_EOF) {
        handle.close(done)
      } else {
        throw new Error(`read gave ${count} instead of the end`)
      }
    } catch (error) {
      fail(error)
    }
    return undefined
  }
  handle.useUserBuffer(first)
  if (handle.readStart() !== 0) throw new Error('readStart failed')
}

function expectBytes(memory: Uint8Array, count: number, what: string): void {
  if (count !== GREETING.length || memory[0] !== GREETING[0]) throw new Error(`${what} differs`)
}

function expectSyncWrite(handle: StreamHandle, handles: StreamHandles, chunk: Uint8Array): void {
  const request = new handles.WriteWrap() as WriteRequest
  request.oncomplete = () => {}
  // Twice with one request, half each: a request that finished at once must stay usable.
  for (const half of [chunk.subarray(0, 2), chunk.subarray(2)]) {
    const status = handle.writeBuffer(request, half)
    if (status !== 0) throw new Error(`a short write gave ${status}`)
    if (handles.state[handles.lastWriteWasAsync] !== 0) throw new Error('a short write waited')
  }
}

/** Writes until the kernel takes no more and libuv has to finish one, then ends the stream. */
function writeLong(
  handle: StreamHandle,
  handles: StreamHandles,
  total: { bytes: number },
  fail: (error: unknown) => void,
): void {
  const memory = new Uint8Array(PIECE_BYTES / 2)
  const request = new handles.WriteWrap() as WriteRequest
  request.memory = memory
  request.oncomplete = (status) => {
    if (status !== 0) return fail(new Error(`a long write ended with ${status}`))
    const shutdown = new handles.ShutdownWrap() as ShutdownRequest
    shutdown.oncomplete = (result) => {
      if (result !== 0) fail(new Error(`shutdown ended with ${result}`))
    }
    if (handle.shutdown(shutdown) !== 0) fail(new Error('shutdown was refused'))
  }
  for (let piece = 0; piece < MAX_PIECES; piece++) {
    const status = handle.writev(request, [memory, memory], true)
    if (status !== 0) throw new Error(`a long write gave ${status}`)
    total.bytes += PIECE_BYTES
    if (handles.state[handles.lastWriteWasAsync] !== 0) return
  }
  throw new Error('no write ever waited')
}

let verdict: Promise<StreamHandles | string> | undefined

const GREETING = Uint8Array.of(0x68, 0x65, 0x64, 0x64, 0x6c, 0x65)
/** The kernel buffers some megabytes on both sides of a loopback connection that nobody reads. */
const PIECE_BYTES = 1024 * 1024
const MAX_PIECES = 64
const SELF_TEST_MS = 2_000
const UV_EOF = -4095
