/**
 * The handles under `net.Socket`: libuv streams as Node's own JavaScript uses them.
 *
 * They are not a public interface (DEP0111), so nothing here is assumed: `loadStreamHandles` looks
 * at every part it needs, handle-self-test.ts proves the behaviour on a loopback pair, and without
 * either the transports run on `net.Socket` alone. docs/decisions/0002-tcp-engine.md has the reason
 * and the figures.
 */

import { nodeBinding } from '../../platform/process-access.ts'

export interface StreamHandle {
  onread: (this: StreamHandle) => Uint8Array | undefined
  /** Ours: set while a `HandleConnection` owns the handle. */
  heddle?: unknown
  readonly fd: number
  /** Bytes that libuv still holds. */
  readonly writeQueueSize?: number
  readStart(): number
  readStop(): number
  /** Reads go into `memory` from now on; whatever `onread` returns replaces it. */
  useUserBuffer(memory: Uint8Array): void
  writeBuffer(request: WriteRequest, chunk: Uint8Array): number
  writev(request: WriteRequest, chunks: readonly Uint8Array[], allBuffers: true): number
  shutdown(request: ShutdownRequest): number
  close(callback?: () => void): void
  /** TCP only: closes with RST. */
  reset?(callback?: () => void): number
  ref(): void
  unref(): void
  getsockname?(into: SocketName): number
  getpeername?(into: SocketName): number
  setNoDelay?(on: boolean): number
  setKeepAlive?(on: boolean, delay: number, interval?: number, count?: number): number
  setTypeOfService?(value: number): number
}

export interface SocketName {
  address?: string
  family?: string
  port?: number
}

/** Used up by a write that did not finish at once, reusable after one that did. */
export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void
  /** Ours: who asked, how much, and the memory, so that it outlives the write. */
  connection: unknown
  bytes: number
  memory: unknown
}

export interface ShutdownRequest {
  oncomplete: (status: number) => void
}

export interface StreamHandles {
  readonly WriteWrap: new () => object
  readonly ShutdownWrap: new () => object
  /** Results of the last call into a handle, at the four indices below. */
  readonly state: Int32Array
  readonly readResult: number
  readonly bytesWritten: number
  readonly lastWriteWasAsync: number
}

/** A `net.Server` whose listening handle hands out raw handles. */
export interface ListeningHandle {
  onconnection: (status: number, handle: StreamHandle | undefined) => void
  readonly fd?: number
}

/** @returns a sentence saying what is missing, when something is */
export function loadStreamHandles(): StreamHandles | string {
  let streams: Record<string, unknown>
  let tcp: { TCP?: { prototype?: object } }
  try {
    streams = nodeBinding('stream_wrap')
    tcp = nodeBinding('tcp_wrap')
  } catch (error) {
    return `Node gives no stream bindings: ${error instanceof Error ? error.message : String(error)}`
  }
  const { WriteWrap, ShutdownWrap, streamBaseState: state } = streams
  const { kReadBytesOrError, kBytesWritten, kLastWriteWasAsync } = streams
  if (typeof WriteWrap !== 'function' || typeof ShutdownWrap !== 'function') {
    return 'the stream binding has no request classes'
  }
  if (!(state instanceof Int32Array)) return 'the stream binding has no result array'
  for (const index of [kReadBytesOrError, kBytesWritten, kLastWriteWasAsync]) {
    if (typeof index !== 'number' || index >= state.length) return 'result indices are missing'
  }
  const prototype = tcp.TCP?.prototype as Record<string, unknown> | undefined
  for (const method of HANDLE_METHODS) {
    if (typeof prototype?.[method] !== 'function') return `TCP handles have no ${method}`
  }
  return {
    WriteWrap: WriteWrap as new () => object,
    ShutdownWrap: ShutdownWrap as new () => object,
    state,
    readResult: kReadBytesOrError as number,
    bytesWritten: kBytesWritten as number,
    lastWriteWasAsync: kLastWriteWasAsync as number,
  }
}

const HANDLE_METHODS = [
  'readStart',
  'readStop',
  'useUserBuffer',
  'writeBuffer',
  'writev',
  'shutdown',
  'close',
  'ref',
  'unref',
] as const
