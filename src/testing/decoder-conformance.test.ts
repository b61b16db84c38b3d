/**
 * The kit must be able to fail: each mutant breaks one rule and must be reported.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteQueue } from '../core/byte-queue.ts'
import type { ByteWriter } from '../core/byte-writer.ts'
import type { Decoder } from '../core/codec.ts'
import { ProtocolError } from '../core/errors.ts'
import { decoderConformance } from './decoder-conformance.ts'
import { CollectingHarness } from './harness.ts'

/** One length byte (at most 9), then the payload; each mutation is a mistake that was seen. */
interface Mutation {
  limit?: number
  forgets?: 'stickiness' | 'truncation' | 'copy' | 'split' | 'buffered'
  throws?: 'TypeError'
  loses?: 'message before a failure'
}

class ToyDecoder implements Decoder<Uint8Array> {
  readonly #queue = new ByteQueue()
  readonly #mutation: Mutation
  #length: number | undefined
  #failure: ProtocolError | undefined
  #held: Uint8Array | undefined

  constructor(mutation: Mutation) {
    this.#mutation = mutation
  }

  get buffered(): number {
    return this.#queue.length + (this.#mutation.forgets === 'buffered' ? 1 : 0)
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
  }

  next(): Uint8Array | undefined {
    const { forgets, limit = 9, throws, loses } = this.#mutation
    if (this.#failure !== undefined && forgets !== 'stickiness') throw this.#failure
    if (this.#length === undefined) {
      if (this.#queue.length === 0) return undefined
      this.#length = this.#queue.readUint8()
      if (this.#length > limit) {
        if (throws !== undefined) throw new TypeError('not of the peer')
        const length = this.#length
        if (forgets === 'stickiness') this.#length = undefined
        throw (this.#failure = new ProtocolError('ERR_FRAME_TOO_LARGE', `${length} over ${limit}`))
      }
    }
    if (this.#queue.length < this.#length) {
      if (forgets === 'split') this.#length = undefined
      this.#queue.copyBorrowed()
      return undefined
    }
    const payload =
      forgets === 'copy' ? this.#queue.read(this.#length) : this.#queue.readCopy(this.#length)
    this.#length = undefined
    if (loses !== undefined) {
      const held = this.#held
      this.#held = payload
      if (held === undefined) return this.next()
      return held
    }
    return payload
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#length === undefined || this.#mutation.forgets === 'truncation') return
    throw (this.#failure = new ProtocolError('ERR_TRUNCATED', 'inside a frame'))
  }
}

function encode(payload: Uint8Array, out: ByteWriter): void {
  out.uint8(payload.length)
  out.copy(payload)
}

function failures(mutation: Mutation): Promise<readonly string[]> {
  const harness = new CollectingHarness()
  const subject = {
    create: () => new ToyDecoder(mutation),
    encode,
    samples: [Uint8Array.of(1, 2, 3), new Uint8Array(0), new Uint8Array(9).fill(5)],
    malformed: { 'a frame of 10': Uint8Array.of(10) },
    accepted: {
      'two frames at once': {
        bytes: Uint8Array.of(1, 7, 0),
        messages: [Uint8Array.of(7), new Uint8Array(0)],
      },
    },
  }
  decoderConformance('toy', subject, harness)
  return harness.failures()
}

test('decoderConformance passes a correct decoder', async () => {
  assert.deepEqual(await failures({}), [])
})

const MUTANTS: readonly (readonly [what: string, mutation: Mutation, caught: RegExp])[] = [
  ['a limit that is one too high', { limit: 10 }, /refuses a frame of 10/],
  ['a limit that is one too low', { limit: 8 }, /decodes all samples from one chunk/],
  ['a failure that does not stick', { forgets: 'stickiness' }, /for good/],
  ['truncation that nobody notices', { forgets: 'truncation' }, /truncation at every offset/],
  ['messages that are views of the chunk', { forgets: 'copy' }, /all samples from one chunk/],
  ['state that is lost between chunks', { forgets: 'split' }, /byte by byte/],
  ['a wrong count of buffered bytes', { forgets: 'buffered' }, /buffers no more/],
  ['an error that is not the peer’s', { throws: 'TypeError' }, /refuses a frame of 10/],
  ['a message that comes too late', { loses: 'message before a failure' }, /each sample alone/],
]

for (const [what, mutation, caught] of MUTANTS) {
  test(`decoderConformance reports ${what}`, async () => {
    const failed = await failures(mutation)
    assert.ok(
      failed.some((name) => caught.test(name)),
      `failed: ${failed.join('\n')}`,
    )
  })
}
