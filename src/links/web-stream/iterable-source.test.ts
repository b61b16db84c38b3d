import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { Flow, Sink } from '../../core/flow.ts'
import { type ChunkIterable, iterableSource } from './iterable-source.ts'

/** Takes `room` chunks at a time. */
class Taker implements Sink<Uint8Array> {
  readonly taken: string[] = []
  readonly over = Promise.withResolvers<Error | undefined>()
  readonly #room: number
  #left: number
  flow: Flow | undefined

  constructor(room: number) {
    this.#room = room
    this.#left = room
  }
  write(chunk: Uint8Array): boolean {
    this.taken.push(Buffer.from(chunk).toString())
    return --this.#left > 0
  }
  more(): void {
    this.#left = this.#room
    this.flow?.resume()
  }
  end(): void {
    this.over.resolve(undefined)
  }
  fail(reason: Error): void {
    this.over.resolve(reason)
  }
}

function open(iterable: ChunkIterable, room: number): Taker {
  const taker = new Taker(room)
  taker.flow = iterableSource(iterable).open(taker)
  return taker
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('iterableSource gives chunks of arrays, generators and Node streams', async () => {
  async function* generate(): AsyncGenerator<Uint8Array | string> {
    yield Buffer.from('a')
    yield 'ü'
    yield new Uint8Array(0)
  }
  for (const iterable of [['a', 'ü'], generate(), Readable.from([Buffer.from('a'), 'ü'])]) {
    const taker = open(iterable as ChunkIterable, 10)
    taker.more()
    assert.equal(await taker.over.promise, undefined)
    assert.deepEqual(taker.taken, ['a', 'ü'])
  }
})

test('iterableSource asks for no more than the sink takes', async () => {
  let given = 0
  async function* count(): AsyncGenerator<string> {
    while (given < 5) yield String(++given)
  }
  const taker = open(count(), 2)
  await turn()
  assert.equal(given, 0)
  taker.more()
  await turn()
  assert.deepEqual([given, taker.taken], [2, ['1', '2']])
  taker.more()
  await turn()
  assert.equal(given, 4)
  taker.more()
  assert.equal(await taker.over.promise, undefined)
  assert.deepEqual(taker.taken, ['1', '2', '3', '4', '5'])
})

test('iterableSource stops the iterable when it is cancelled', async () => {
  const stopped = Promise.withResolvers<void>()
  async function* endless(): AsyncGenerator<string> {
    try {
      for (;;) yield 'x'
    } finally {
      stopped.resolve()
    }
  }
  const taker = open(endless(), 1)
  taker.more()
  await turn()
  taker.flow?.cancel()
  await stopped.promise
  assert.deepEqual(taker.taken, ['x'])
})

test('iterableSource passes a failure on, and refuses other chunks and a second reader', async () => {
  const reason = new Error('disk')
  async function* broken(): AsyncGenerator<string> {
    yield 'x'
    throw reason
  }
  const taker = open(broken(), 10)
  taker.more()
  assert.equal(await taker.over.promise, reason)
  const wrong = open([42] as unknown as string[], 10)
  wrong.more()
  assert.equal((await wrong.over.promise) instanceof Error, true)
  const source = iterableSource(['x'])
  source.open(new Taker(1))
  assert.throws(() => source.open(new Taker(1)), { code: 'ERR_BODY_USED' })
})
