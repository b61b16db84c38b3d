/** The published vectors: key of RFC 8032, test 1; a genesis, the block after it, a fragment. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { ed25519Key, nodeSigning } from '../../platform/node-signing.ts'
import { webKey, webSigning } from '../../platform/web-signing.ts'
import { Block } from './block.ts'
import { createGenesis, createNext } from './create.ts'
import { decodeBlock, encodeBlock } from './encodings/encodings.ts'
import { encodeFragment, readFragment } from './fragments.ts'
import { bytesPayload } from './payload.ts'
import { verifyBlock } from './verify.ts'

const SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
const PUBLIC = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
const GENESIS_SIGNATURE =
  '4f5ef5e249d77c2fb9ff99a5ff62a29f28775e29e6087287c803d4ded12b889c' +
  '8435b3c048cae7ec29f0b70a41496375f40803d43b8652d42bdd038d73a45a01'
const GENESIS_WIRE =
  `0105${'00'.repeat(8)}0000000061cf9980${'00'.repeat(32)}` +
  '633fa5b98ed65d631511cbcebaac15e1c1942ec78ced770ece4f326bfd1a4f2e' +
  `0000800000000012${PUBLIC}${GENESIS_SIGNATURE}7b2268656c6c6f223a226f6c6f637573227d`
const GENESIS_HASH = '274387d262f2b3da5d9e0edb6c73be3f87ce17c948716a4c120e7519fac1d842'
const NEXT_SIGNATURE =
  '2582f3d620d7256bdc64ec5b7ba85363d7d3f28b34130c8392fb0cad4968031b' +
  '12a0ef8996a8b4b308c3b8df1f207db34344108fa709f7e36797a44fc2c7fb0a'
const NEXT_HASH = '00a94d6a66ee1e0f64b9b0a449a8df874e184ffa37e3c1eb2030ae0c0952b9a7'
const MESSAGEPACK_SHA256 = '1f71e90622d5e13b2c2f778f6ca9a80e13c0260b3acc1a0182a0d8cb55c1b7b5'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const HELLO = bytesPayload(new TextEncoder().encode('{"hello":"olocus"}'), 0x8000)
const EMPTY = bytesPayload(new Uint8Array(0), 0x8000)

test('the vectors: genesis and the block after it, signed by Node', async () => {
  const key = ed25519Key(bytes(SEED))
  assert.equal(hex(key.publicKey), PUBLIC)
  const options = { key, host: nodeSigning, timestamp: 1_640_995_200 }
  const genesis = await createGenesis<{ hello: string }>(HELLO, options)
  assert.equal(hex(genesis.bytes), GENESIS_WIRE)
  assert.equal(genesis.signedBytes().length, 108)
  assert.equal(hex(await genesis.hash(nodeSigning)), GENESIS_HASH)
  assert.equal(genesis.payload?.hello, 'olocus')
  const next = await createNext(genesis, EMPTY, { ...options, timestamp: 1_640_995_201 })
  assert.equal(next.bytes.length, 186)
  assert.equal(hex(next.signature), NEXT_SIGNATURE)
  assert.equal(hex(await next.hash(nodeSigning)), NEXT_HASH)
  assert.equal((await verifyBlock(next, { host: nodeSigning, previous: genesis })).ok, true)
})

test('the vectors: the same bytes and verdicts from WebCrypto', async () => {
  const key = await webKey(bytes(SEED), bytes(PUBLIC))
  const options = { key, host: webSigning, timestamp: 1_640_995_200n }
  const genesis = await createGenesis(HELLO, options)
  assert.equal(hex(genesis.bytes), GENESIS_WIRE)
  assert.equal(hex(await genesis.hash(webSigning)), GENESIS_HASH)
  assert.equal((await verifyBlock(genesis, { host: webSigning })).ok, true)
  const forged = genesis.bytes.slice()
  forged[121] = 0 // not the key that signed
  const verdict = await verifyBlock(new Block(forged), { host: webSigning })
  assert.equal(verdict.name, 'InvalidSignature')
})

test('the vectors: MessagePack as named maps', () => {
  const encoded = encodeBlock(new Block(bytes(GENESIS_WIRE)), 'messagepack')
  assert.equal(encoded.length, 297)
  assert.ok(hex(encoded).startsWith('84a668656164657286a776657273696f6ecd0105'))
  assert.equal(createHash('sha256').update(encoded).digest('hex'), MESSAGEPACK_SHA256)
})

test('the vectors: the little-endian layout of before', () => {
  const canonical = bytes(GENESIS_WIRE)
  const payload = canonical.subarray(186)
  const header = `0501${'00'.repeat(8)}8099cf6100000000${'00'.repeat(32)}${hex(
    canonical.subarray(50, 82),
  )}00800000`
  const old = bytes(header + hex(payload) + GENESIS_SIGNATURE + PUBLIC)
  assert.equal(hex(decodeBlock(old, 'binary-le').bytes), GENESIS_WIRE)
})

test('the vectors: a fragment', () => {
  const data = Uint8Array.of(1, 2, 3)
  const fragment = { blockHash: bytes(GENESIS_HASH), fragmentId: 0, totalFragments: 2, data }
  const encoded = encodeFragment(fragment)
  assert.equal(hex(encoded), `${GENESIS_HASH}000002000300000000000000010203`)
  assert.deepEqual(readFragment(encoded), fragment)
})
