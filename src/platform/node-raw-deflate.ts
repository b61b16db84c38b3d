/**
 * Raw deflate of whole messages from `node:zlib`, with one context for all connections of a thread.
 *
 * A stream of zlib is a trip to another thread for each message, and a context for each connection;
 * `deflateRawSync` makes a context for each message, which costs more than compressing it. So the
 * context of a stream is driven directly, and reset between messages. That is not a documented way:
 * it is tried when it is first needed, and where it does not do what it should the documented
 * functions do the work.
 */
import zlib from 'node:zlib'
import { ProtocolError } from '../core/errors.ts'
import type { RawDeflate } from '../core/host.ts'

/** What a stream of `node:zlib` has inside. */
interface ZlibHandle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    output: Uint8Array,
    outputAt: number,
    outputBytes: number,
  ): void
  reset(): void
  onerror: (message: string, errno: number, code: string) => void
}
interface ZlibStream {
  readonly _handle: ZlibHandle
  /** Bytes left of the output and of the input after a write. */
  readonly _writeState: Uint32Array
}

export const nodeRawDeflate: RawDeflate = {
  deflate: (message, windowBits, level) => engine().deflate(message, windowBits, level),
  inflate: (message, maxOutputBytes) => engine().inflate(message, maxOutputBytes),
  keep: () => engine().keep(),
}
Object.freeze(nodeRawDeflate)

/** One context, driven directly. */
class Context {
  readonly #handle: ZlibHandle
  readonly #state: Uint32Array
  #failure: string | undefined

  constructor(stream: unknown) {
    const { _handle: handle, _writeState: state } = stream as ZlibStream
    this.#handle = handle
    this.#state = state
    handle.onerror = (message) => {
      this.#failure = message
    }
  }

  reset(): void {
    this.#handle.reset()
    this.#failure = undefined
  }

  /** Runs until the input is used up. @returns bytes of output; -1: over `maxBytes` */
  run(parts: readonly Uint8Array[], output: Output, maxBytes: number): number {
    let filled = 0
    for (const input of parts) {
      let at = 0
      for (;;) {
        const room = output.bytes.length - filled
        const left = input.length - at
        this.#handle.writeSync(Z_SYNC_FLUSH, input, at, left, output.bytes, filled, room)
        if (this.#failure !== undefined) throw corrupt(this.#failure)
        const [roomLeft = 0, inputLeft = 0] = this.#state
        filled += room - roomLeft
        at = input.length - inputLeft
        if (filled > maxBytes) return -1
        if (roomLeft === 0) output.grow(filled, maxBytes)
        else if (inputLeft === 0) break
        // A final block ends a stream; another may follow behind it (RFC 7692 7.2.3.5).
        else if (inputLeft === left && roomLeft === room) throw corrupt('no progress')
        else this.#handle.reset()
      }
    }
    return filled
  }
}

/** Memory for what comes out, lent until the next call. */
class Output {
  bytes = new Uint8Array(0)

  begin(): void {
    if (this.bytes.length !== OUTPUT_BYTES) this.bytes = new Uint8Array(OUTPUT_BYTES)
  }

  grow(filled: number, maxBytes: number): void {
    // One byte more than is allowed is enough to see that there is more.
    const wanted = Math.min(this.bytes.length * 2, maxBytes + 1)
    const grown = new Uint8Array(Math.max(wanted, filled + 1))
    grown.set(this.bytes.subarray(0, filled))
    this.bytes = grown
  }
}

class DirectEngine implements RawDeflate {
  readonly #inflater = new Context(zlib.createInflateRaw())
  readonly #deflaters = new Map<number, Context>()
  readonly #deflated = new Output()
  readonly #inflated = new Output()
  #last: Output | undefined

  deflate(message: Uint8Array, windowBits: number, level: number): Uint8Array {
    const context = this.#deflater(windowBits, level)
    const output = this.#deflated
    output.begin()
    context.reset()
    const length = context.run([message], output, Number.POSITIVE_INFINITY)
    this.#last = output
    return output.bytes.subarray(0, length - TAIL.length)
  }

  inflate(message: Uint8Array, maxOutputBytes: number): Uint8Array {
    const output = this.#inflated
    output.begin()
    this.#inflater.reset()
    const length = this.#inflater.run([message, TAIL], output, maxOutputBytes)
    if (length < 0) throw tooLarge(message.length, maxOutputBytes)
    this.#last = output
    return output.bytes.subarray(0, length)
  }

  keep(): void {
    if (this.#last !== undefined) this.#last.bytes = new Uint8Array(0)
  }

  #deflater(windowBits: number, level: number): Context {
    const key = windowBits * 16 + level // 7 windows and 9 levels: 63 contexts at the very most
    let context = this.#deflaters.get(key)
    if (context === undefined) {
      context = new Context(zlib.createDeflateRaw({ windowBits, level }))
      this.#deflaters.set(key, context)
    }
    return context
  }
}

/** By documented functions only: a new context for each message. */
class DocumentedEngine implements RawDeflate {
  deflate(message: Uint8Array, windowBits: number, level: number): Uint8Array {
    const output = zlib.deflateRawSync(message, { windowBits, level, finishFlush: Z_SYNC_FLUSH })
    return output.subarray(0, output.length - TAIL.length)
  }

  inflate(message: Uint8Array, maxOutputBytes: number): Uint8Array {
    const whole = new Uint8Array(message.length + TAIL.length)
    whole.set(message)
    whole.set(TAIL, message.length)
    try {
      const maxOutputLength = Math.max(1, maxOutputBytes)
      return zlib.inflateRawSync(whole, { finishFlush: Z_SYNC_FLUSH, maxOutputLength })
    } catch (cause) {
      if ((cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') {
        throw tooLarge(message.length, maxOutputBytes)
      }
      throw corrupt((cause as Error).message)
    }
  }

  keep(): void {}
}

/** The documented functions, for tests and for machines where the direct way does not work. */
export const documentedRawDeflate: RawDeflate = new DocumentedEngine()

function engine(): RawDeflate {
  chosen ??= directEngine() ?? documentedRawDeflate
  return chosen
}

/** Undefined where a context does not do what it should. */
function directEngine(): RawDeflate | undefined {
  const sample = new Uint8Array(3_000).map((_, index) => index % 251)
  try {
    const direct = new DirectEngine()
    for (let round = 0; round < 2; round++) {
      const packed = direct.deflate(sample, 15, 1).slice()
      if (Buffer.compare(direct.inflate(packed, sample.length), sample) !== 0) return undefined
      if (Buffer.compare(documentedRawDeflate.inflate(packed, 3_000), sample) !== 0)
        return undefined
    }
    return direct
  } catch {
    return undefined
  }
}

function corrupt(why: string): ProtocolError {
  return new ProtocolError('ERR_ENCODING', `compressed data is corrupt: ${why}`)
}

function tooLarge(inputBytes: number, maxOutputBytes: number): ProtocolError {
  const message = `${inputBytes} compressed bytes become more than ${maxOutputBytes}`
  return new ProtocolError('ERR_EXPANSION', message)
}

const { Z_SYNC_FLUSH } = zlib.constants
/** The end of a sync flush, which messages go without. */
const TAIL = Uint8Array.of(0, 0, 0xff, 0xff)
/** Holds usual messages; what grew beyond it is let go again. */
const OUTPUT_BYTES = 65_536
let chosen: RawDeflate | undefined
