/**
 * The way datagrams take through Node, two of them.
 *
 * `handle`: libuv's UDP handle, which `dgram.Socket` has inside. It sends at once and says what came
 * of it; `dgram` itself resolves each address anew, makes a request object for each datagram, and
 * tells about errors in a later tick. Internal to Node (DEP0111), so it is looked at before it is
 * used, and `dgram` stays as the other way.
 *
 * Everything else, binding, options, groups, closing, goes through `dgram.Socket`.
 */
import type { Socket } from 'node:dgram'
import { UsageError } from '../../core/errors.ts'
import { nodeBinding } from '../../platform/process-access.ts'
import type { UdpEngine } from './udp-options.ts'

/** One socket's datagrams. */
export interface UdpPort {
  readonly engine: Exclude<UdpEngine, 'auto'>
  /** File descriptor where it is known. */
  readonly descriptor: number | undefined
  /**
   * Sends a datagram at once; without `host` on a connected socket. The payload is the caller's
   * again when the call returns.
   *
   * @returns 0, `FULL`, or the kernel's error, a negative number
   */
  send(payload: Uint8Array, port: number, host: string | undefined): number
  /** From here on `receiver` hears of datagrams. */
  start(): void
  /** They stay in the kernel's buffer, or, where Node cannot leave them there, are dropped. */
  stop(): void
}

export interface UdpReceiver {
  onMessage(payload: Uint8Array, host: string, port: number): void
  /** One that had to be dropped: it arrived while stopped. */
  onStopped(payload: Uint8Array): void
  /** A negative error number of the kernel that came with reading. */
  onFailure(status: number): void
  /** … or of a datagram for which `send` had said 0. */
  onUnsent(status: number): void
}

/** The socket's send buffer is full. */
export const FULL = -0x1_0000

/** @throws UsageError when `handle` was asked for and is not there */
export function openPort(socket: Socket, engine: UdpEngine, receiver: UdpReceiver): UdpPort {
  if (engine !== 'dgram') {
    const handle = handleOf(socket)
    if (handle !== undefined) return new HandlePort(handle, receiver)
    if (engine === 'handle') {
      const message = 'udp cannot honour engine: handle: this Node has no UDP handle as expected'
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
  }
  return new DgramPort(socket, receiver)
}

class HandlePort implements UdpPort {
  readonly engine = 'handle'
  readonly #handle: UdpHandle
  readonly #list: [Uint8Array] = [scratch]
  #request: SendRequest
  /** A datagram that the kernel did not take at once: libuv sends it when there is room. */
  #waiting = false
  #sent: Uint8Array = scratch.subarray(0, 0)

  constructor(handle: UdpHandle, receiver: UdpReceiver) {
    this.#handle = handle
    handle.recvStop()
    handle.onmessage = (length, _handle, payload, from) => {
      if (payload !== undefined && from !== undefined) {
        receiver.onMessage(payload, from.address, from.port)
      } else if (length < 0) receiver.onFailure(length)
    }
    this.#request = this.#makeRequest(receiver)
  }

  get descriptor(): number | undefined {
    return this.#handle.fd >= 0 ? this.#handle.fd : undefined
  }

  send(payload: Uint8Array, port: number, host: string | undefined): number {
    if (this.#waiting) return FULL
    const view = this.#copy(payload)
    this.#list[0] = view
    const request = this.#request
    const status =
      host === undefined
        ? this.#handle.send(request, this.#list, 1, true)
        : this.#handle.send(request, this.#list, 1, port, host, true)
    // Positive: the length and one. Zero: libuv keeps the region until the request completes.
    if (status !== 0) return Math.min(status, 0)
    this.#waiting = true
    request.list = [view]
    abandonScratch()
    return 0
  }

  start(): void {
    this.#handle.recvStart()
  }

  stop(): void {
    this.#handle.recvStop()
  }

  /**
   * The payload may change as soon as `send` returns, and whether libuv needs it longer is known
   * only then. Datagrams often have the length of the one before: its view serves again.
   */
  #copy(payload: Uint8Array): Uint8Array {
    let view = this.#sent
    if (view.length !== payload.length || view.buffer !== scratch.buffer) {
      view = scratch.subarray(0, payload.length)
      this.#sent = view
    }
    view.set(payload)
    return view
  }

  #makeRequest(receiver: UdpReceiver): SendRequest {
    const request = new (sendRequests())()
    request.oncomplete = (status) => {
      this.#waiting = false
      this.#request = this.#makeRequest(receiver)
      if (status < 0) receiver.onUnsent(status)
    }
    return request
  }
}

class DgramPort implements UdpPort {
  readonly engine = 'dgram'
  readonly descriptor = undefined
  readonly #socket: Socket
  readonly #receiver: UdpReceiver
  #receiving = false

  constructor(socket: Socket, receiver: UdpReceiver) {
    this.#socket = socket
    this.#receiver = receiver
    socket.on('message', (payload, from) => {
      if (this.#receiving) receiver.onMessage(payload, from.address, from.port)
      else receiver.onStopped(payload)
    })
    socket.on('error', (error) => {
      const status = statusOf(error)
      if (status < 0) receiver.onFailure(status)
    })
  }

  send(payload: Uint8Array, port: number, host: string | undefined): number {
    if (this.#socket.getSendQueueCount() > 0) return FULL
    const copy = payload.slice()
    if (host === undefined) this.#socket.send(copy, this.#onSent)
    else this.#socket.send(copy, port, host, this.#onSent)
    return 0
  }

  start(): void {
    this.#receiving = true
  }

  stop(): void {
    this.#receiving = false
  }

  readonly #onSent = (error: Error | null): void => {
    const status = statusOf(error)
    if (status < 0) this.#receiver.onUnsent(status)
  }
}

/** The kernel's number in an error of Node; 0 where there is none. */
function statusOf(error: NodeJS.ErrnoException | null): number {
  return error?.errno ?? 0
}

/** What `udp_wrap` of Node 22 to 26 has. */
interface UdpHandle {
  readonly fd: number
  onmessage: (
    length: number,
    handle: UdpHandle,
    payload: Uint8Array | undefined,
    from: { readonly address: string; readonly port: number } | undefined,
  ) => void
  send(
    request: SendRequest,
    list: readonly Uint8Array[],
    count: number,
    portOrCallback: number | boolean,
    host?: string,
    callback?: boolean,
  ): number
  recvStart(): number
  recvStop(): number
}

interface SendRequest {
  oncomplete: (status: number) => void
  list?: readonly Uint8Array[]
}

/** The handle of a bound socket, when it and the requests look as expected. */
function handleOf(socket: Socket): UdpHandle | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find((one) => one.description === STATE)
  if (symbol === undefined) return undefined
  const state = (socket as unknown as Record<symbol, { handle?: Partial<UdpHandle> }>)[symbol]
  const handle = state?.handle
  const whole =
    typeof handle?.send === 'function' &&
    typeof handle.recvStart === 'function' &&
    typeof handle.recvStop === 'function' &&
    typeof handle.onmessage === 'function'
  return whole && findSendRequests() !== undefined ? (handle as UdpHandle) : undefined
}

type SendRequests = new () => SendRequest
let requests: SendRequests | 'missing' | undefined

function findSendRequests(): SendRequests | undefined {
  if (requests === undefined) {
    try {
      const found = nodeBinding('udp_wrap')['SendWrap']
      requests = typeof found === 'function' ? (found as SendRequests) : 'missing'
    } catch {
      requests = 'missing'
    }
  }
  return requests === 'missing' ? undefined : requests
}

function sendRequests(): SendRequests {
  return findSendRequests() as SendRequests
}

/** Room for the longest datagram, shared by the sockets of this thread: a send is over at once. */
let scratch = new Uint8Array(65_536)

function abandonScratch(): void {
  scratch = new Uint8Array(65_536)
}

const STATE = 'state symbol'
