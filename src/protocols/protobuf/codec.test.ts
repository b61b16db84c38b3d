import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, StructSchema, TimestampSchema } from '@bufbuild/protobuf/wkt'
import {
  Color,
  type Kinds,
  KindsSchema,
  OlderSchema,
  ScalarsSchema,
  UncoveredSchema,
} from '../../../test/fixtures/echo/kinds_pb.ts'
import { portableText } from '../../core/portable-text.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { messageCodec } from './codec.ts'
import { isCovered } from './codec-coverage.ts'

test('isCovered knows proto3 and leaves the rest to the library', () => {
  assert.equal(isCovered(KindsSchema), true)
  assert.equal(isCovered(TimestampSchema), true)
  for (const desc of [UncoveredSchema, FileDescriptorProtoSchema]) {
    assert.equal(isCovered(desc as DescMessage), false, desc.typeName)
  }
})

for (const [name, text] of Object.entries({ node: nodeHost.text, portable: portableText })) {
  test(`messageCodec encodes and decodes as protobuf-es does, over 150 seeds (${name})`, () => {
    const codec = messageCodec(KindsSchema, text)
    for (let seed = 1; seed <= 150; seed++) {
      const init = randomKinds(new SeededRandom(seed), 2)
      const expected = toBinary(KindsSchema, create(KindsSchema, init))
      assert.deepEqual(codec.encode(init), expected, `encode, seed ${seed}`)
      assert.deepEqual(codec.encode(create(KindsSchema, init)), expected, `message, seed ${seed}`)
      const decoded = codec.decode(expected)
      assert.deepEqual(decoded, fromBinary(KindsSchema, expected), `decode, seed ${seed}`)
      assert.deepEqual(Object.keys(decoded), Object.keys(fromBinary(KindsSchema, expected)))
      const lent = expected.slice()
      const kept = codec.decode(lent, true)
      lent.fill(0xdb)
      assert.deepEqual(kept, decoded, `borrowed, seed ${seed}`)
    }
  })
}

test('messageCodec ends as protobuf-es does on 800 corrupt messages', () => {
  const codec = messageCodec(KindsSchema, nodeHost.text)
  let refused = 0
  for (let seed = 1; seed <= 800; seed++) {
    const random = new SeededRandom(seed)
    const bytes = toBinary(KindsSchema, create(KindsSchema, randomKinds(random, 1))).slice()
    const cut = random.integer(0, 3) === 0 ? random.integer(0, bytes.length) : bytes.length
    for (let flips = random.integer(1, 3); flips > 0 && bytes.length > 0; flips--) {
      bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255)
    }
    const given = bytes.subarray(0, cut)
    const mine = outcome(() => codec.decode(given))
    const theirs = outcome(() => fromBinary(KindsSchema, given))
    if (theirs instanceof Error) refused++
    assert.deepEqual(mine, theirs, `seed ${seed}`)
  }
  assert.ok(refused > 80, `only ${refused} were refused`)
})

test('messageCodec keeps unknown fields, and writes them again', () => {
  const bytes = toBinary(KindsSchema, create(KindsSchema, randomKinds(new SeededRandom(7), 1)))
  const codec = messageCodec(OlderSchema, nodeHost.text)
  const older = codec.decode(bytes)
  assert.deepEqual(older, fromBinary(OlderSchema, bytes))
  assert.ok((older.$unknown?.length ?? 0) > 3)
  assert.deepEqual(codec.encode(older), toBinary(OlderSchema, older))
})

test('messageCodec leaves unusual values to protobuf-es, errors included', () => {
  const codec = messageCodec(ScalarsSchema, nodeHost.text)
  const values: MessageInitShape<typeof ScalarsSchema>[] = [
    { anInt32: -0, aDouble: -0, aFloat: -0 },
    { aFloat: Number.NaN, aDouble: Number.NEGATIVE_INFINITY },
    { anInt32: '5' as unknown as number },
    { anInt64: 5 as unknown as bigint },
    { anInt64: '9007199254740993' as unknown as bigint },
    { anInt32: 2 ** 31 },
    { anInt32: 1.5 },
    { aUint32: -1 },
    { aUint64: -1n },
    { anInt64: 2n ** 63n },
    { aFloat: 1e39 },
    { aString: null as unknown as string },
    { aString: 5 as unknown as string },
    { aString: 'lone \ud800 surrogate' },
    { someBytes: [1, 2, 3] as unknown as Uint8Array },
    { aBool: 1 as unknown as boolean },
  ]
  for (const value of values) {
    const mine = outcome(() => codec.encode(value))
    const theirs = outcome(() => toBinary(ScalarsSchema, create(ScalarsSchema, value)))
    assert.deepEqual(mine, theirs, String(Object.entries(value)))
  }
  const kinds = messageCodec(KindsSchema, nodeHost.text)
  const foreign = create(TimestampSchema) as unknown as Kinds
  assert.deepEqual(kinds.encode(foreign), toBinary(KindsSchema, create(KindsSchema, foreign)))
  const map = JSON.parse('{"__proto__":"x","b":"y"}') as Record<string, string>
  const bytes = toBinary(KindsSchema, create(KindsSchema, { labels: map }))
  assert.deepEqual(kinds.encode({ labels: map }), bytes)
  assert.deepEqual(kinds.decode(bytes), fromBinary(KindsSchema, bytes))
})

test('messageCodec reads messages nested to the limit, and refuses one level more', () => {
  const codec = messageCodec(KindsSchema, nodeHost.text)
  let init: MessageInitShape<typeof KindsSchema> = {}
  for (let depth = 1; depth < 100; depth++) init = { child: init }
  const deep = codec.encode(init)
  assert.deepEqual(codec.decode(deep), fromBinary(KindsSchema, deep))
  const over = codec.encode({ child: init })
  assert.throws(() => codec.decode(over), /recursion depth of 100/)
})

test('messageCodec leaves room in front, and messages do not share bytes', () => {
  const codec = messageCodec(ScalarsSchema, nodeHost.text)
  const first = codec.encode({ aString: 'first' }, 5)
  const second = codec.encode({ aString: 'second' }, 5)
  assert.deepEqual(first.subarray(5), codec.encode({ aString: 'first' }))
  first.fill(0xff)
  assert.equal(codec.decode(second.subarray(5)).aString, 'second')
  for (const length of [127, 128, 16_383, 16_384, 100_000]) {
    const init = { scalars: { aString: 'ü'.repeat(length), someBytes: new Uint8Array(length) } }
    const kinds = messageCodec(KindsSchema, nodeHost.text)
    const bytes = kinds.encode(init, 3)
    assert.deepEqual(bytes.subarray(3), toBinary(KindsSchema, create(KindsSchema, init)))
  }
  const library = messageCodec(UncoveredSchema)
  const bytes = library.encode({ wrapped: 'x', json: { a: 1 } }, 2)
  assert.equal(library.decode(bytes.subarray(2)).wrapped, 'x')
  assert.equal(messageCodec(StructSchema).desc, StructSchema)
})

function outcome<Value>(body: () => Value): Value | Error {
  try {
    return body()
  } catch (error) {
    return error as Error
  }
}

type KindsInit = MessageInitShape<typeof KindsSchema>

function randomKinds(random: SeededRandom, depth: number): KindsInit {
  const list = <Item>(make: () => Item): Item[] =>
    Array.from({ length: random.integer(0, 3) }, make)
  const some = <Item>(make: () => Item): Item | undefined =>
    random.integer(0, 1) === 0 ? undefined : make()
  const optional = withoutUndefined({
    scalars: some(() => randomScalars(random)),
    maybeText: some(() => randomText(random)),
    maybeNumber: some(() => random.pick([0, 1, -5])),
    maybeBytes: some(() => random.bytes(random.integer(0, 5))),
    child: depth > 0 ? some(() => randomKinds(random, depth - 1)) : undefined,
    at: some(() => ({ seconds: 5n, nanos: 7 })),
    far: some(() => random.integer(0, 9)),
    choice: random.pick([
      undefined,
      { case: undefined },
      { case: 'text' as const, value: randomText(random) },
      { case: 'number' as const, value: 0n },
      { case: 'inner' as const, value: randomScalars(random) },
      { case: 'raw' as const, value: random.bytes(3) },
      { case: 'tone' as const, value: Color.RED },
    ]),
  })
  return {
    ...optional,
    numbers: list(() => random.pick(INT32)),
    longs: list(() => random.pick(INT64)),
    doubles: list(() => random.pick(DOUBLES)),
    flags: list(() => random.integer(0, 1) === 1),
    texts: list(() => randomText(random)),
    blobs: list(() => random.bytes(random.integer(0, 200))),
    colors: list(() => random.pick([Color.RED, Color.UNSPECIFIED, Color.NEGATIVE, 77 as Color])),
    many: list(() => randomScalars(random)),
    unpacked: list(() => random.pick(INT32)),
    labels: Object.fromEntries(list(() => [randomText(random), randomText(random)])),
    byNumber: Object.fromEntries(list(() => [random.pick(INT32), randomScalars(random)])),
    byId: Object.fromEntries(list(() => [random.integer(0, 9), random.bytes(2)])),
    palette: Object.fromEntries(list(() => [randomText(random), Color.RED])),
  } as KindsInit
}

function randomScalars(random: SeededRandom): MessageInitShape<typeof ScalarsSchema> {
  return {
    aDouble: random.pick(DOUBLES),
    aFloat: random.pick([0, 0.5, -0, 3.4028234663852886e38, Number.NaN]),
    anInt32: random.pick(INT32),
    anInt64: random.pick(INT64),
    aUint32: random.pick([0, 1, 127, 128, 2 ** 32 - 1]),
    aUint64: random.pick([0n, 1n, 2n ** 32n, 2n ** 35n, 2n ** 64n - 1n]),
    aSint32: random.pick(INT32),
    aSint64: random.pick(INT64),
    aFixed32: random.pick([0, 2 ** 32 - 1]),
    aFixed64: random.pick([0n, 2n ** 64n - 1n]),
    aSfixed32: random.pick(INT32),
    aSfixed64: random.pick(INT64),
    aBool: random.integer(0, 1) === 1,
    aString: randomText(random),
    someBytes: random.bytes(random.integer(0, 200)),
    color: random.pick([Color.UNSPECIFIED, Color.NEGATIVE, 1_000 as Color]),
  }
}

function randomText(random: SeededRandom): string {
  const piece = random.pick([
    '',
    'a',
    'plain text',
    'schön',
    '日本',
    '😀',
    '\u0000',
    '\ufeff',
    '\ufffd',
  ])
  return piece.repeat(random.pick([1, 1, 1, 5, 40]))
}

function withoutUndefined(init: object): KindsInit {
  const entries = Object.entries(init).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as KindsInit
}

const INT32 = [0, 1, -1, 127, 128, 300, -300, 2 ** 31 - 1, -(2 ** 31)]
const INT64 = [0n, 1n, -1n, 2n ** 31n, -(2n ** 31n), 2n ** 32n, 2n ** 63n - 1n, -(2n ** 63n)]
const DOUBLES = [0, -0, 1.5, -1e300, Number.NaN, Number.POSITIVE_INFINITY]

test('a message that was released makes room for the next one, if it was the last', () => {
  const codec = messageCodec(ScalarsSchema, nodeHost.text)
  const first = codec.encode({ aString: 'one' })
  const second = codec.encode({ aString: 'two' })
  codec.release?.(first)
  const third = codec.encode({ aString: 'thr' })
  assert.deepEqual(codec.decode(first, true).aString, 'one') // another followed: it stays
  assert.equal(third.byteOffset, second.byteOffset + second.length)
  codec.release?.(third)
  const fourth = codec.encode({ aString: 'fou' })
  assert.equal(fourth.byteOffset, third.byteOffset)
  assert.deepEqual(codec.decode(second, true).aString, 'two')
})
