/**
 * The OpenSSL that Node itself is linked to, reached through koffi: no addon of ours, nothing built.
 *
 * One object per thread. It holds the functions, one page of memory for what they write besides
 * their result, and what must never be collected while OpenSSL knows of it (`pins`).
 *
 * OpenSSL's error queue belongs to the thread, and `node:crypto` and `node:tls` read it too: whoever
 * makes a call that fails takes its errors out (`takeErrors`) or clears them before returning.
 */
import { createRequire } from 'node:module'
import { InternalError, toError } from '../../../core/errors.ts'
import { DatagramSlots } from './datagram-slots.ts'
import { type OpensslFunctions, SIGNATURES } from './functions.ts'

/** What of koffi is used, so that nothing else of it is relied on. */
export interface Koffi {
  load(path: null): KoffiLibrary
  address(value: ArrayBufferView): bigint
  view(pointer: number | bigint, length: number): ArrayBuffer
  errno(): number
  proto(result: string, values: readonly string[]): object
  pointer(type: object): object
  register(callback: (...values: number[]) => number, type: object): bigint
  unregister(callback: bigint): void
  readonly version: string
  readonly node: { poll(fd: number, options: object, callback: () => void): PollHandle }
}

export interface KoffiLibrary {
  func(
    name: string,
    result: string | object,
    values: readonly (string | object)[],
  ): (...values: never[]) => never
}

export interface PollHandle {
  stop(): void
  close(): void
  ref(): void
  unref(): void
}

export class Openssl {
  readonly koffi: Koffi
  readonly library: KoffiLibrary
  readonly f: OpensslFunctions
  /** Written by calls; everything in it is read before the next call. */
  readonly scratch: Uint8Array
  readonly scratch32: Uint32Array
  readonly scratch64: BigUint64Array
  /** Address of `scratch`. */
  readonly at: number
  /** A batch is read and sent before anything else runs: one for the thread. */
  readonly slots: DatagramSlots
  /** The authorities that Node trusts, once somebody asked for them. */
  defaultStore = 0
  /** Roots: what OpenSSL or libuv points to. */
  readonly pins = new Set<object>()

  /** @throws Error when a function is missing */
  constructor(koffi: Koffi) {
    this.koffi = koffi
    this.library = koffi.load(null)
    const functions: Record<string, unknown> = {}
    for (const [name, [result, values]] of Object.entries(SIGNATURES)) {
      functions[name] = this.library.func(name, result, values)
    }
    this.f = functions as OpensslFunctions
    const page = new ArrayBuffer(SCRATCH_BYTES)
    this.scratch = new Uint8Array(page)
    this.scratch32 = new Uint32Array(page)
    this.scratch64 = new BigUint64Array(page)
    this.at = this.addressOf(this.scratch)
    this.slots = new DatagramSlots((view) => this.addressOf(view))
  }

  /** Where a view's bytes are. Only for memory that outlives the use, larger than V8 keeps on its heap. */
  addressOf(view: ArrayBufferView): number {
    return Number(this.koffi.address(view))
  }

  /** Everything in the error queue, oldest first, which is empty afterwards. */
  takeErrors(): string[] {
    const texts: string[] = []
    for (;;) {
      const error = this.f.ERR_get_error()
      if (Number(error) === 0) return texts
      if (texts.length === MAX_ERRORS) continue
      this.f.ERR_error_string_n(error, this.at + TEXT_AT, TEXT_BYTES)
      texts.push(reasonOf(this.text(TEXT_AT, TEXT_BYTES)))
    }
  }

  /** @throws InternalError with OpenSSL's reasons when `value` is 0 */
  must(value: number, what: string): number {
    if (value !== 0) return value
    const reasons = this.takeErrors().join('; ')
    throw new InternalError('ERR_INVARIANT', `OpenSSL: ${what} failed: ${reasons || 'no reason'}`)
  }

  /** Text in the scratch page up to its zero byte. */
  text(from: number, maxBytes: number): string {
    const end = this.scratch.indexOf(0, from)
    return Buffer.from(this.scratch.subarray(from, Math.min(end, from + maxBytes))).toString()
  }

  /** A copy of memory that OpenSSL owns. */
  copyOf(pointer: number, length: number): Uint8Array {
    return new Uint8Array(this.koffi.view(pointer, length)).slice()
  }

  /** What an `i2d_…` function writes of `object`. */
  encode(write: (object: number, out: number) => number, object: number): Uint8Array {
    const length = write(object, 0)
    if (length <= 0) {
      this.f.ERR_clear_error()
      return new Uint8Array(0)
    }
    const memory = new Uint8Array(Math.max(length, OFF_HEAP_BYTES))
    this.scratch64[0] = BigInt(this.addressOf(memory))
    write(object, this.at)
    return memory.subarray(0, length)
  }

  /** What a `d2i_…` function reads from `bytes`; 0 when it cannot. */
  decode(read: (into: number, from: number, length: number) => number, bytes: Uint8Array): number {
    const memory = new Uint8Array(Math.max(bytes.length, OFF_HEAP_BYTES))
    memory.set(bytes)
    this.scratch64[0] = BigInt(this.addressOf(memory))
    return read(0, this.at, bytes.length)
  }
}

/** The module, or why it cannot be loaded. */
export function loadKoffi(): Koffi | Error {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi
  } catch (error) {
    return toError(error)
  }
}

/** `error:0A000086:SSL routines::certificate verify failed` without what no reader wants. */
function reasonOf(text: string): string {
  return text.replace(/^error:[0-9A-F]+:/i, '').replace(/^[^:]*::/, '')
}

const SCRATCH_BYTES = 8_192
const TEXT_AT = 1_024
const TEXT_BYTES = 256
/** Whoever shares the queue may have left many. */
const MAX_ERRORS = 8
/** V8 keeps smaller arrays on its heap, where they move. */
const OFF_HEAP_BYTES = 256
