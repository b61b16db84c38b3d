import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ed25519Key, generateEd25519Key, nodeSigning } from '../../platform/node-signing.ts'
import { assembleBlock, Block } from './block.ts'
import { BLOCK_CODES, blockCodeName, blockCodeOf, blockError, heddleCodeOf } from './block-codes.ts'
import { ChainTip, checkGenesis, verifyChain } from './chain.ts'
import { createGenesis, createNext, type NewBlockOptions } from './create.ts'
import { decodeBlock } from './encodings/encodings.ts'
import { isCanonicalScalar, isStrongKey } from './key-checks.ts'
import {
  bytesPayload,
  EMPTY_PAYLOAD,
  jsonPayload,
  PayloadRegistry,
  payloadRange,
} from './payload.ts'
import { assertBlock, type VerifyBlockOptions, verdictError, verifyBlock } from './verify.ts'

const START = 1_640_995_200
const key = ed25519Key(new Uint8Array(32).fill(7))
const host = nodeSigning
const at = (timestamp: number): NewBlockOptions => ({ key, host, timestamp })
const payload = jsonPayload({ n: 1 })

async function chain(length: number, first = START): Promise<Block[]> {
  const blocks = [await createGenesis(payload, at(first))]
  for (let count = 1; count < length; count++) {
    blocks.push(await createNext(blocks.at(-1) as Block, payload, at(first + count)))
  }
  return blocks
}

async function codeOf(block: Block, options: Partial<VerifyBlockOptions> = {}): Promise<string> {
  const verdict = await verifyBlock(block, { host, ...options })
  return verdict.name
}

test('a flipped bit gives, at every offset, the code of the field it is in', async () => {
  const [, second] = await chain(2)
  const { bytes } = second as Block
  for (let offset = 0; offset < bytes.length; offset++) {
    for (const bit of [0, 3, 7]) {
      const flipped = bytes.slice()
      flipped[offset] = (flipped[offset] as number) ^ (1 << bit)
      let found: string
      try {
        found = await codeOf(decodeBlock(flipped))
      } catch (error) {
        found = blockCodeOf(error) ?? String(error)
      }
      assert.equal(found, expectedCode(offset, flipped), `offset ${offset} bit ${bit}`)
    }
  }
})

function expectedCode(offset: number, flipped: Uint8Array): string {
  if (offset === 0) return 'VersionMismatch'
  if (offset === 1) return (flipped[1] as number) < 5 ? 'VersionMismatch' : 'InvalidSignature'
  if (offset >= 50 && offset < 82) return 'PayloadMismatch'
  if (offset === 82 || offset === 83) return 'UnknownPayloadType'
  if (offset === 86) return flipped[86] === 1 ? 'PayloadTooLarge' : 'PayloadTooLarge'
  if (offset > 86 && offset < 90) return offset === 87 ? sizeCode(flipped) : 'MalformedBlock'
  return offset >= 186 ? 'PayloadMismatch' : 'InvalidSignature'
}

function sizeCode(bytes: Uint8Array): string {
  const size = new DataView(bytes.buffer).getUint32(86)
  return size > 16_777_216 ? 'PayloadTooLarge' : 'MalformedBlock'
}

test('verifyBlock looks at the block before: index, then hash, then time', async () => {
  const [first, second, third] = (await chain(3)) as [Block, Block, Block]
  assert.equal(await codeOf(second, { previous: first }), 'Ok')
  assert.equal(await codeOf(third, { previous: first }), 'InvalidIndex')
  const [other] = (await chain(1, START + 9)) as [Block]
  assert.equal(await codeOf(second, { previous: other }), 'BrokenChain')
  const options = { key, host, timestamp: START - 1 }
  assert.throws(() => createNext(first, payload, options), { code: 'ERR_ARGUMENT' })
  // Someone else would sign it all the same.
  const fields = { ...second.header, timestamp: first.timestamp - 1n }
  const { payloadBytes, publicKey, signature } = second
  const early = assembleBlock({ ...fields, payload: payloadBytes, publicKey, signature })
  early.set(key.sign(new Block(early).signedBytes()), 122)
  const before = new Block(early)
  assert.equal(await codeOf(before, { previous: first }), 'TimestampRegression')
})

test('blocks of the same second are in order, unless time is strict', async () => {
  const first = await createGenesis(payload, at(START))
  const same = await createNext(first, payload, at(START))
  assert.equal(await codeOf(same, { previous: first }), 'Ok')
  assert.equal(await codeOf(same, { previous: first, strictTime: true }), 'TimestampRegression')
})

test('verifyBlock looks at the clock: 300 s ahead is taken, 301 s is not; age counts when live', async () => {
  const block = await createGenesis(payload, at(START))
  assert.equal(await codeOf(block, { now: START - 300 }), 'Ok')
  assert.equal(await codeOf(block, { now: START - 301 }), 'TimestampTooFuture')
  assert.equal(await codeOf(block, { now: START + 1e9 }), 'Ok')
  assert.equal(await codeOf(block, { now: START + 86_400, live: true }), 'Ok')
  assert.equal(await codeOf(block, { now: START + 86_401, live: true }), 'TimestampTooOld')
  assert.throws(() => verifyBlock(block, { host, live: true }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => verifyBlock(block, { host, maxBlockAgeSeconds: -1 }), {
    code: 'ERR_OPTION_RANGE',
  })
})

test('a payload over the limit of the verifier, and a type nobody defines', async () => {
  const block = await createGenesis(bytesPayload(new Uint8Array(10)), at(START))
  assert.equal(await codeOf(block, { maxPayloadBytes: 10 }), 'Ok')
  assert.equal(await codeOf(block, { maxPayloadBytes: 9 }), 'PayloadTooLarge')
  const odd = await createGenesis(bytesPayload(new Uint8Array(1), 0x1_0000), at(START))
  assert.equal(await codeOf(odd), 'UnknownPayloadType')
  assert.equal(await codeOf(odd, { strictTypes: false }), 'Ok')
})

test('milliseconds for seconds are refused where the block is made', () => {
  for (const timestamp of [Date.UTC(2026, 1, 1), 0.5, Number.NaN]) {
    assert.throws(() => createGenesis(payload, at(timestamp)), { code: 'ERR_ARGUMENT' })
  }
})

test('a signature has one form: S + L is refused, by us whatever the library does', async () => {
  const block = await createGenesis(payload, at(START))
  const order = (1n << 252n) + 27742317777372353535851937790883648493n
  const scalar = BigInt(`0x${Buffer.from(block.signature.slice(32)).reverse().toString('hex')}`)
  const second = Buffer.from((scalar + order).toString(16).padStart(64, '0'), 'hex').reverse()
  const forged = block.bytes.slice()
  forged.set(second, 154)
  assert.equal(await codeOf(new Block(forged)), 'InvalidSignature')
  const trusting = { ...host, verifyEd25519: () => true }
  assert.equal((await verifyBlock(new Block(forged), { host: trusting })).name, 'InvalidSignature')
  const limit = Buffer.concat([Buffer.alloc(32), Buffer.from(order.toString(16), 'hex').reverse()])
  assert.equal(isCanonicalScalar(limit), false)
  limit[32] = (limit[32] as number) - 1
  assert.equal(isCanonicalScalar(limit), true)
})

test('keys of small order and keys that are not reduced are refused', async () => {
  const p = (1n << 255n) - 19n
  const order8 = [
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  ].map((text) => new Uint8Array(Buffer.from(text, 'hex')))
  const numbers = [0n, 1n, p - 1n, p, p + 1n, (1n << 255n) - 1n].map((value) =>
    Uint8Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * index)) & 255n)),
  )
  for (const weak of [...numbers, ...order8]) {
    for (const sign of [0, 0x80]) {
      const encoded = weak.slice()
      encoded[31] = (encoded[31] as number) | sign
      assert.equal(isStrongKey(encoded), false, Buffer.from(encoded).toString('hex'))
    }
  }
  assert.equal(isStrongKey(key.publicKey), true)
  assert.equal(isStrongKey(generateEd25519Key().publicKey), true)
  // The identity as key and as R, S = 0: valid under every message by the equation alone.
  const forged = (await createGenesis(payload, at(START))).bytes.slice()
  forged.fill(0, 90, 186)
  forged[90] = 1
  forged[122] = 1
  const trusting = { ...host, verifyEd25519: () => true }
  assert.equal((await verifyBlock(new Block(forged), { host: trusting })).name, 'InvalidSignature')
})

test('verifyChain says at which block a chain breaks', async () => {
  const blocks = await chain(5)
  assert.deepEqual(await verifyChain(blocks, { host }), { ok: true, code: 0, name: 'Ok', at: 5 })
  const [, second, third] = blocks as [Block, Block, Block]
  const without = [blocks[0] as Block, ...blocks.slice(2)]
  const gap = await verifyChain(without, { host })
  assert.deepEqual([gap.name, gap.at], ['InvalidIndex', 1])
  const headless = await verifyChain([second, third], { host })
  assert.deepEqual([headless.name, headless.at], ['InvalidIndex', 0])
  assert.equal((await verifyChain([third], { host, anchor: second })).ok, true)
  const root = (blocks[0] as Block).bytes.slice()
  root[20] = 1
  assert.equal(checkGenesis(new Block(root))?.name, 'BrokenChain')
  assert.equal((await verifyChain([], { host })).at, 0)
})

test('keys may change from block to block', async () => {
  const first = await createGenesis(payload, at(START))
  const other = generateEd25519Key()
  const second = await createNext(first, payload, { key: other, host, timestamp: START })
  assert.equal((await verifyChain([first, second], { host })).ok, true)
})

test('ChainTip takes a longer branch within maxReorgDepth, and nothing of one that breaks', async () => {
  const blocks = await chain(5)
  const [first] = blocks as [Block]
  const branch = [await createNext(first, jsonPayload('b'), at(START + 1))]
  for (let count = 1; count < 5; count++) {
    branch.push(await createNext(branch.at(-1) as Block, jsonPayload('b'), at(START + 1 + count)))
  }
  const tip = new ChainTip(first, { host, maxReorgDepth: 4 })
  for (const block of blocks.slice(1)) assert.equal((await tip.append(block)).ok, true)
  assert.equal((await tip.append(first)).name, 'InvalidIndex')
  assert.equal((await tip.reorganize(branch.slice(0, 4))).name, 'InvalidIndex') // not longer
  const broken = [...branch.slice(0, 4), first]
  assert.deepEqual(nameAndAt(await tip.reorganize(broken)), ['InvalidIndex', 4])
  assert.equal(tip.block, blocks[4])
  assert.equal((await tip.reorganize(branch)).ok, true)
  assert.equal(tip.block, branch[4])
  assert.equal(tip.length, 5)
  const shallow = new ChainTip(first, { host, maxReorgDepth: 3 })
  for (const block of blocks.slice(1)) await shallow.append(block)
  assert.equal((await shallow.reorganize(branch)).name, 'ForkTooDeep')
  const foreign = (await chain(5, START + 50)).slice(4)
  assert.equal((await tip.reorganize(foreign)).name, 'BrokenChain')
  assert.throws(() => new ChainTip(first, { host, maxReorgDepth: -1 }), {
    code: 'ERR_OPTION_RANGE',
  })
})

function nameAndAt(verdict: { name: string; at: number }): [string, number] {
  return [verdict.name, verdict.at]
}

test('assertBlock and verdictError carry the number, the name and a code of heddle', async () => {
  const block = await createGenesis(payload, at(START))
  await assertBlock(block, { host })
  const verdict = await verifyBlock(block, { host, maxPayloadBytes: 0 })
  const error = verdictError(verdict) as { status?: unknown } | undefined
  assert.equal(error?.status, BLOCK_CODES.PayloadTooLarge)
  await assert.rejects(async () => assertBlock(block, { host, now: 0 }), {
    code: 'ERR_BLOCK',
    status: 10,
    detail: { block: 'TimestampTooFuture' },
  })
  assert.equal(verdictError({ ok: true, code: 0, name: 'Ok' }), undefined)
})

test('the codes of the protocol keep their numbers', () => {
  const pinned =
    '0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 20 21 22 23 24 30 31 32 33 34 35 36 37 38'
  assert.equal(Object.values(BLOCK_CODES).join(' '), `${pinned} 39 40 41 42`)
  assert.equal(blockCodeName(6), 'InvalidSignature')
  assert.equal(blockCodeName(17), undefined)
  assert.equal(heddleCodeOf('BrokenChain'), 'ERR_BLOCK')
  assert.equal(heddleCodeOf('NoCommonAlgorithm'), 'ERR_NEGOTIATION')
  assert.equal(blockCodeOf(blockError('InvalidSignature', 'x')), 'InvalidSignature')
  for (const other of [undefined, null, new Error('x'), { detail: { block: 'toString' } }]) {
    assert.equal(blockCodeOf(other), undefined)
  }
})

test('a payload is read when it is asked for, by its type, and JSON otherwise', async () => {
  const registry = new PayloadRegistry().register(0x0100, (bytes) => bytes.length)
  const options = { ...at(START), registry }
  assert.equal((await createGenesis(bytesPayload(Uint8Array.of(1, 2), 0x0100), options)).payload, 2)
  assert.deepEqual((await createGenesis(payload, options)).payload, { n: 1 })
  assert.equal((await createGenesis(bytesPayload(Uint8Array.of(0xff)), options)).payload, undefined)
  assert.equal((await createGenesis(EMPTY_PAYLOAD, options)).payload, undefined)
  assert.throws(() => registry.register(0x0100, String), { status: 14, code: 'ERR_ARGUMENT' })
  assert.throws(() => registry.register(-1, String), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => jsonPayload(undefined), { code: 'ERR_ARGUMENT' })
  assert.deepEqual([0, 0x100, 0x8000, 0x1_0000].map(payloadRange), [
    'core',
    'standard',
    'private',
    'undefined',
  ])
})

test('the fields of a block are beside its header as well', async () => {
  const block = await createGenesis(payload, at(START))
  const { header } = block
  assert.equal(header.index, block.index)
  assert.equal(header.timestamp, BigInt(START))
  assert.equal(block.header, header)
  assert.equal(header.previous.length + header.payloadHash.length, 64)
  assert.throws(() => new Block(new Uint8Array(185)), { code: 'ERR_ARGUMENT' })
})

test('ed25519Key takes a seed or PEM, and says nothing of it when it does not', () => {
  assert.deepEqual(ed25519Key(key.toPem()).publicKey, key.publicKey)
  for (const wrong of [new Uint8Array(31), 'secret words', '-----BEGIN PRIVATE KEY-----\nQUJD\n']) {
    assert.throws(
      () => ed25519Key(wrong),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_ARGUMENT')
        assert.ok(!/secret|QUJD/.test(error.message + String(error.cause)))
        return true
      },
    )
  }
})
