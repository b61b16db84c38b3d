/**
 * Sockets of the kernel without a library between: `epoll`, `recv` and `send` through koffi. A load
 * generator over `node:net` costs more for each message than the servers it asks, which then wait
 * for it and all look alike; this one costs what a C program does.
 */
import { createRequire } from 'node:module'

/** Linux, where koffi loads. */
export function descriptorsWork(): boolean {
  return libraryOf() !== undefined
}

/** What is heard of one socket. Calls are made from `DescriptorLoop.turn` alone. */
export interface DescriptorHandler {
  /** Borrowed until the call returns. */
  onChunk(chunk: Buffer): void
  onEnd(reason: string): void
}

/** A connected TCP socket on loopback, without Nagle's algorithm. */
export class Descriptor {
  readonly fd: number
  readonly #calls: Calls
  readonly #watch: (fd: number, events: number) => void
  handler: DescriptorHandler
  /** What the kernel did not take. */
  #waiting: Buffer[] = []

  constructor(
    calls: Calls,
    fd: number,
    handler: DescriptorHandler,
    watch: (fd: number, events: number) => void,
  ) {
    this.#calls = calls
    this.fd = fd
    this.handler = handler
    this.#watch = watch
  }

  /** The bytes must not change until they have left. */
  write(bytes: Buffer): void {
    if (this.#waiting.length > 0) this.#waiting.push(bytes)
    else this.#send(bytes)
  }

  flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const bytes of waiting) this.write(bytes)
    if (this.#waiting.length === 0) this.#watch(this.fd, EPOLLIN)
  }

  #send(bytes: Buffer): void {
    const sent = this.#calls.send(this.fd, bytes, bytes.length, MSG_NOSIGNAL)
    if (sent === bytes.length) return
    if (sent < 0 && !isTransient(this.#calls.errno())) return this.handler.onEnd('a send failed')
    this.#waiting.push(bytes.subarray(Math.max(sent, 0)))
    this.#watch(this.fd, EPOLLIN | EPOLLOUT)
  }
}

export class DescriptorLoop implements Disposable {
  readonly #calls: Calls
  readonly #epoll: number
  readonly #open = new Map<number, Descriptor>()
  readonly #events = Buffer.alloc(MAX_EVENTS * EVENT_BYTES)
  readonly #eventsAt: number
  readonly #event = Buffer.alloc(EVENT_BYTES)
  readonly #input = Buffer.alloc(READ_BYTES)
  readonly #inputAt: number

  /** @throws Error where `descriptorsWork` is false */
  constructor() {
    const calls = libraryOf()
    if (calls === undefined) throw new Error('no sockets without a library here')
    this.#calls = calls
    this.#eventsAt = calls.address(this.#events)
    this.#inputAt = calls.address(this.#input)
    this.#epoll = calls.epoll_create1(0)
  }

  /** Connects to a port of 127.0.0.1, which on loopback is done at once. */
  connect(port: number, handler: DescriptorHandler): Descriptor {
    const fd = this.#calls.socket(AF_INET, SOCK_STREAM, 0)
    const name = Buffer.alloc(16)
    name.writeUInt16LE(AF_INET, 0)
    name.writeUInt16BE(port, 2)
    name.set([127, 0, 0, 1], 4)
    if (fd < 0 || this.#calls.connect(fd, name, name.length) !== 0) {
      throw new Error(`no connection to port ${port}: errno ${this.#calls.errno()}`)
    }
    const on = Buffer.from([1, 0, 0, 0])
    this.#calls.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, on, on.length)
    this.#calls.fcntl(fd, F_SETFL, O_NONBLOCK)
    const descriptor = new Descriptor(this.#calls, fd, handler, (of, events) =>
      this.#control(EPOLL_CTL_MOD, of, events),
    )
    this.#open.set(fd, descriptor)
    this.#control(EPOLL_CTL_ADD, fd, EPOLLIN)
    return descriptor
  }

  /** Waits for at most so long and serves what is ready. The thread does nothing else meanwhile. */
  turn(milliseconds: number): void {
    const count = this.#calls.epoll_wait(this.#epoll, this.#eventsAt, MAX_EVENTS, milliseconds)
    for (let index = 0; index < count; index++) {
      const at = index * EVENT_BYTES
      const descriptor = this.#open.get(this.#events.readUInt32LE(at + EVENT_DATA_AT))
      if (descriptor === undefined) continue
      const events = this.#events.readUInt32LE(at)
      if ((events & EPOLLOUT) !== 0) descriptor.flush()
      if ((events & ~EPOLLOUT) !== 0) this.#read(descriptor)
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.keys()) this.#calls.close(fd)
    this.#open.clear()
    this.#calls.close(this.#epoll)
  }

  #read(descriptor: Descriptor): void {
    const count = this.#calls.recv(descriptor.fd, this.#inputAt, READ_BYTES, 0)
    if (count > 0) return descriptor.handler.onChunk(this.#input.subarray(0, count))
    if (count < 0 && isTransient(this.#calls.errno())) return
    this.#control(EPOLL_CTL_DEL, descriptor.fd, 0)
    descriptor.handler.onEnd('the server closed a connection')
  }

  #control(operation: number, fd: number, events: number): void {
    this.#event.writeUInt32LE(events, 0)
    this.#event.writeUInt32LE(fd, EVENT_DATA_AT)
    this.#calls.epoll_ctl(this.#epoll, operation, fd, this.#event)
  }
}

interface Calls {
  socket(family: number, type: number, protocol: number): number
  connect(fd: number, name: Uint8Array, length: number): number
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number
  fcntl(fd: number, command: number, value: number): number
  epoll_create1(flags: number): number
  epoll_ctl(epoll: number, operation: number, fd: number, event: Uint8Array): number
  epoll_wait(epoll: number, events: number, count: number, milliseconds: number): number
  recv(fd: number, into: number, length: number, flags: number): number
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number
  close(fd: number): number
  errno(): number
  address(bytes: Uint8Array): number
}

let known: Calls | undefined

function libraryOf(): Calls | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    known ??= loadCalls()
  } catch {
    return undefined
  }
  return known
}

function loadCalls(): Calls {
  const koffi = createRequire(import.meta.url)('koffi')
  const library = koffi.load(null)
  const call = (name: string, values: string[]): never => library.func(name, 'int', values) as never
  const bytes = 'const void *'
  return {
    socket: call('socket', ['int', 'int', 'int']),
    connect: call('connect', ['int', bytes, 'uint32_t']),
    setsockopt: call('setsockopt', ['int', 'int', 'int', bytes, 'uint32_t']),
    fcntl: call('fcntl', ['int', 'int', 'int']),
    epoll_create1: call('epoll_create1', ['int']),
    epoll_ctl: call('epoll_ctl', ['int', 'int', 'int', bytes]),
    epoll_wait: call('epoll_wait', ['int', 'uintptr_t', 'int', 'int']),
    // Their results are 64 bits wide, and here never over 31.
    recv: call('recv', ['int', 'uintptr_t', 'size_t', 'int']),
    send: call('send', ['int', bytes, 'size_t', 'int']),
    close: call('close', ['int']),
    errno: () => koffi.errno() as number,
    address: (view) => Number(koffi.address(view)),
  }
}

function isTransient(errno: number): boolean {
  return errno === EAGAIN || errno === EINTR
}

const AF_INET = 2
const SOCK_STREAM = 1
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const F_SETFL = 4
const O_NONBLOCK = 0o4000
const MSG_NOSIGNAL = 0x4000
const EPOLLIN = 1
const EPOLLOUT = 4
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const EPOLL_CTL_MOD = 3
const EINTR = 4
const EAGAIN = 11
/** `struct epoll_event` is packed on x86 alone. */
const EVENT_DATA_AT = process.arch === 'x64' ? 4 : 8
const EVENT_BYTES = EVENT_DATA_AT + 8
const MAX_EVENTS = 256
const READ_BYTES = 262_144
