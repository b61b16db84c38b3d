/**
 * Conformance kit for `Decoder` (core/codec.ts): the same messages and the same failure however the
 * input is cut, a sticky failure, truncation that is noticed, and no view of a chunk kept.
 *
 * In every run a chunk lives in memory that is overwritten as soon as `next` has returned undefined,
 * as a transport does.
 */
import { ByteWriter } from '../core/byte-writer.ts'
import type { Decoder, Encode } from '../core/codec.ts'
import { ProtocolError } from '../core/errors.ts'
import { deepEqual, describeValue } from './deep-equal.ts'
import type { Harness } from './harness.ts'
import { SeededRandom } from './seeded-random.ts'

export interface DecoderSubject<Message> {
  create(): Decoder<Message>
  encode: Encode<Message>
  /** Messages of every kind, the shortest and the longest allowed among them. */
  readonly samples: readonly Message[]
  /** Inputs that must be refused before the input ends, by what is wrong with them. */
  readonly malformed: Readonly<Record<string, Uint8Array>>
  /** Valid inputs that the encoder does not write, with what they mean. */
  readonly accepted?: Readonly<
    Record<string, { readonly bytes: Uint8Array; readonly messages: readonly Message[] }>
  >
  /** @default structural equality */
  equal?(a: Message, b: Message): boolean
  /**
   * For decoders whose messages are views of the chunk, valid until `next` has returned undefined:
   * copies what a view points to. Without it messages must stay valid for ever.
   */
  copy?(message: Message): Message
  /** The end of input may be the end of a message anywhere: nothing is ever truncated. */
  readonly endsAnywhere?: boolean
  /** @default 1 */
  readonly seed?: number
}

export function decoderConformance<Message>(
  name: string,
  subject: DecoderSubject<Message>,
  harness: Harness,
): void {
  const kit = new DecoderKit(subject, harness)
  const test = (behaviour: string, body: () => void): void => {
    harness.test(`${name} decoder: ${behaviour}`, body)
  }
  test('decodes all samples from one chunk', () => kit.splits([kit.whole]))
  test('decodes each sample alone and is empty after it', () => kit.eachAlone())
  test('decodes byte by byte', () => kit.splits(cut(kit.whole, 1)))
  for (const size of [2, 3, 7]) {
    test(`decodes in chunks of ${size}`, () => kit.splits(cut(kit.whole, size)))
  }
  test(`decodes ${SPLITS} seeded splits alike`, () => kit.seededSplits())
  test('buffers no more than it was given', () => kit.buffered())
  test('notices truncation at every offset', () => kit.truncation())
  for (const [what, bytes] of Object.entries(subject.malformed)) {
    test(`refuses ${what}`, () => kit.refuses(bytes))
    test(`refuses ${what} for good`, () => kit.sticky(bytes))
  }
  for (const [what, { bytes, messages }] of Object.entries(subject.accepted ?? {})) {
    test(`accepts ${what}`, () => kit.accepts(bytes, messages))
  }
  test(`ends alike on ${NOISES} seeded noises, however they are split`, () => kit.noise())
  test(`ends alike on ${NOISES} seeded corruptions of valid input`, () => kit.corruption())
}

interface Outcome<Message> {
  readonly messages: readonly Message[]
  readonly error: ProtocolError | undefined
}

class DecoderKit<Message> {
  readonly #subject: DecoderSubject<Message>
  readonly #harness: Harness
  readonly #encoded: readonly Uint8Array[]
  readonly #seed: number
  /** All samples, one after the other. */
  readonly whole: Uint8Array

  constructor(subject: DecoderSubject<Message>, harness: Harness) {
    this.#subject = subject
    this.#harness = harness
    this.#seed = subject.seed ?? 1
    this.#encoded = subject.samples.map((sample) => {
      const writer = new ByteWriter()
      subject.encode(sample, writer)
      return writer.take()
    })
    this.whole = concat(this.#encoded)
  }

  splits(chunks: readonly Uint8Array[]): void {
    this.#expect(this.#run(chunks), this.#subject.samples)
  }

  eachAlone(): void {
    this.#harness.ok(this.#subject.samples.length > 0, 'the subject gives no samples')
    this.#subject.samples.forEach((sample, index) => {
      const decoder = this.#subject.create()
      const outcome = this.#feed(decoder, [this.#encoded[index] as Uint8Array])
      this.#expect(outcome, [sample])
      this.#ok(decoder.buffered === 0, `buffered is ${decoder.buffered} after a whole message`)
    })
  }

  seededSplits(): void {
    for (let round = 0; round < SPLITS; round++) {
      const random = new SeededRandom(this.#seed + round)
      // Short chunks find more than long ones, long ones find what short ones cannot.
      const longest = random.pick([4, 16, 64, this.whole.length])
      const outcome = this.#run(random.split(this.whole, longest))
      this.#expect(outcome, this.#subject.samples, `seed ${this.#seed + round}`)
    }
  }

  buffered(): void {
    const decoder = this.#subject.create()
    let given = 0
    for (const chunk of cut(this.whole, 1)) {
      given += chunk.length
      this.#feed(decoder, [chunk], false)
      const { buffered } = decoder
      this.#ok(buffered >= 0 && buffered <= given, `buffered is ${buffered} after ${given} bytes`)
    }
    this.#ok(decoder.buffered === 0, `buffered is ${decoder.buffered} after whole messages`)
  }

  truncation(): void {
    const boundaries = new Map<number, number>([[0, 0]])
    let end = 0
    this.#encoded.forEach((bytes, index) => {
      end += bytes.length
      boundaries.set(end, index + 1)
    })
    for (const offset of this.#offsets([...boundaries.keys()])) {
      const complete = boundaries.get(offset)
      const outcome = this.#run([this.whole.subarray(0, offset)])
      const where = `cut at ${offset} of ${this.whole.length}`
      if (complete !== undefined) {
        this.#expect(outcome, this.#subject.samples.slice(0, complete), where)
      } else if (this.#subject.endsAnywhere !== true) {
        const code = outcome.error?.code
        this.#ok(code === 'ERR_TRUNCATED', `${where}: end gave ${code}, not ERR_TRUNCATED`)
      }
    }
  }

  refuses(bytes: Uint8Array): void {
    // Refused as soon as it is there: a decoder that waits for more would let a peer wait for ever.
    const run = (chunks: readonly Uint8Array[]): Outcome<Message> =>
      this.#feed(this.#subject.create(), chunks, false)
    const whole = run([bytes])
    this.#ok(whole.error !== undefined, `not refused, gave ${describeValue(whole.messages)}`)
    this.#same(whole, run(cut(bytes, 1)), 'byte by byte')
    const behind = run([concat([this.whole, bytes])])
    this.#ok(behind.error?.code === whole.error?.code, `behind messages: ${behind.error?.code}`)
    const { length } = this.#subject.samples
    this.#ok(behind.messages.length >= length, 'messages before the malformed one were lost')
  }

  sticky(bytes: Uint8Array): void {
    const decoder = this.#subject.create()
    const { error } = this.#feed(decoder, [bytes])
    this.#ok(error !== undefined, 'was accepted')
    for (let round = 0; round < 3; round++) {
      const again = this.#feed(decoder, [this.whole])
      this.#ok(again.messages.length === 0, 'a message came after the failure')
      this.#ok(again.error === error, `another error came: ${again.error?.message}`)
    }
  }

  accepts(bytes: Uint8Array, messages: readonly Message[]): void {
    this.#expect(this.#run([bytes]), messages)
    this.#expect(this.#run(cut(bytes, 1)), messages, 'byte by byte')
  }

  noise(): void {
    for (let round = 0; round < NOISES; round++) {
      const random = new SeededRandom(this.#seed + round)
      this.#alike(random.bytes(random.integer(0, MAX_NOISE_BYTES)), random)
    }
  }

  corruption(): void {
    if (this.whole.length === 0) return
    for (let round = 0; round < NOISES; round++) {
      const random = new SeededRandom(this.#seed + round)
      const start = random.integer(0, this.whole.length - 1)
      const bytes = this.whole.slice(start > MAX_SCAN ? start - MAX_SCAN : 0).slice(0, MAX_SCAN)
      for (let flips = random.integer(1, 3); flips > 0; flips--) {
        bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255)
      }
      this.#alike(bytes, random)
    }
  }

  /** The same outcome in one chunk, byte by byte and split. */
  #alike(bytes: Uint8Array, random: SeededRandom): void {
    const whole = this.#run([bytes])
    const what = `seed ${random.seed}, ${describeValue(bytes)}`
    this.#same(whole, this.#run(cut(bytes, 1)), `${what} byte by byte`)
    this.#same(whole, this.#run(random.split(bytes, 9)), `${what} split`)
  }

  #run(chunks: readonly Uint8Array[]): Outcome<Message> {
    return this.#feed(this.#subject.create(), chunks)
  }

  #feed(
    decoder: Decoder<Message>,
    chunks: readonly Uint8Array[],
    ends: boolean = true,
  ): Outcome<Message> {
    const messages: Message[] = []
    const memory = new Uint8Array(Math.max(0, ...chunks.map((chunk) => chunk.length)))
    try {
      for (const chunk of chunks) {
        memory.set(chunk)
        decoder.push(memory.subarray(0, chunk.length))
        this.#drain(decoder, messages)
        memory.fill(POISON)
      }
      if (ends) {
        decoder.end()
        this.#drain(decoder, messages)
      }
      return { messages, error: undefined }
    } catch (error) {
      memory.fill(POISON)
      if (error instanceof ProtocolError) return { messages, error }
      throw error // a peer's input must never cause anything else
    }
  }

  #drain(decoder: Decoder<Message>, messages: Message[]): void {
    const { copy } = this.#subject
    for (;;) {
      const message = decoder.next()
      if (message === undefined) return
      messages.push(copy === undefined ? message : copy(message))
    }
  }

  /** Every offset of short input; of long input those near boundaries and seeded ones. */
  #offsets(boundaries: readonly number[]): Iterable<number> {
    const { length } = this.whole
    if (length <= MAX_SCAN) return Array.from({ length: length + 1 }, (_, offset) => offset)
    const offsets = new Set<number>()
    for (const boundary of boundaries) {
      for (let near = boundary - 8; near <= boundary + 8; near++) {
        if (near >= 0 && near <= length) offsets.add(near)
      }
    }
    const random = new SeededRandom(this.#seed)
    for (let count = 0; count < SPLITS; count++) offsets.add(random.integer(0, length))
    return offsets
  }

  #expect(outcome: Outcome<Message>, messages: readonly Message[], where: string = ''): void {
    const { error } = outcome
    this.#ok(error === undefined, `${where} failed: ${error?.code} ${error?.message}`)
    this.#sameMessages(outcome.messages, messages, where)
  }

  #same(a: Outcome<Message>, b: Outcome<Message>, where: string): void {
    this.#ok(a.error?.code === b.error?.code, `${where}: ${a.error?.code} against ${b.error?.code}`)
    this.#sameMessages(a.messages, b.messages, where)
  }

  #sameMessages(a: readonly Message[], b: readonly Message[], where: string): void {
    this.#ok(a.length === b.length, `${where}: ${a.length} messages against ${b.length}`)
    const { equal = deepEqual } = this.#subject
    for (let at = 0; at < a.length; at++) {
      const left = a[at] as Message
      const right = b[at] as Message
      if (equal(left, right)) continue
      const difference = `${describeValue(left)} against ${describeValue(right)}`
      this.#ok(false, `${where}: message ${at}: ${difference}`)
    }
  }

  #ok(value: boolean, message: string): void {
    if (!value) this.#harness.ok(false, message)
  }
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
  return chunks
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const SPLITS = 200
const NOISES = 100
const MAX_NOISE_BYTES = 256
/** Above it, checks of every offset are sampled: they are quadratic. */
const MAX_SCAN = 2_048
const POISON = 0xdb
