/**
 * LZ4 blocks against the `lz4` program, both ways. It reads and writes the frame format, whose blocks
 * are the same: the frame is put around ours and taken off theirs here.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { xxHash32 } from '../src/core/checksum.ts'
import { compressLz4Block, decompressLz4Block, lz4BlockBound } from '../src/core/lz4-block.ts'
import { SeededRandom } from '../src/testing/seeded-random.ts'
import { requirePeer } from './peers.ts'

const lz4 = requirePeer('lz4')
const { skip } = lz4
const BLOCK_BYTES = 65_536
const random = new SeededRandom(3)
const INPUTS: Readonly<Record<string, Uint8Array>> = {
  nothing: new Uint8Array(0),
  'a byte': Uint8Array.of(7),
  zeros: new Uint8Array(200_000),
  noise: random.bytes(100_000),
  text: readFileSync(import.meta.filename),
  'text, many times': Buffer.concat(
    Array.from({ length: 40 }, () => readFileSync(import.meta.filename)),
  ),
  'few values': Uint8Array.from({ length: 150_000 }, () => random.integer(0, 3)),
}

function run(args: readonly string[], input: Uint8Array): Uint8Array {
  const { stdout, stderr, status } = spawnSync('lz4', args, { input, maxBuffer: 64 * 1024 * 1024 })
  assert.equal(status, 0, String(stderr))
  return stdout
}

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md, independent blocks of 64 KiB. */
function frame(input: Uint8Array): Uint8Array {
  const descriptor = Uint8Array.of(0x60, 0x40)
  const parts: Uint8Array[] = [
    Uint8Array.of(0x04, 0x22, 0x4d, 0x18, ...descriptor, (xxHash32(descriptor) >>> 8) & 0xff),
  ]
  for (let at = 0; at < input.length; at += BLOCK_BYTES) {
    const piece = input.subarray(at, at + BLOCK_BYTES)
    const into = new Uint8Array(lz4BlockBound(piece.length))
    const block = into.subarray(0, compressLz4Block(piece, into, 0))
    const size = Buffer.alloc(4)
    const stored = block.length >= piece.length
    size.writeUInt32LE(stored ? (0x8000_0000 | piece.length) >>> 0 : block.length)
    parts.push(size, stored ? piece : block)
  }
  return Buffer.concat([...parts, Buffer.alloc(4)])
}

function unframe(bytes: Uint8Array, length: number): Uint8Array {
  const view = Buffer.from(bytes)
  assert.equal(view.readUInt32LE(0), 0x184d_2204)
  const parts: Uint8Array[] = []
  let left = length
  for (let at = 7; ; ) {
    const size = view.readUInt32LE(at)
    at += 4
    if (size === 0) break
    const block = view.subarray(at, at + (size & 0x7fff_ffff))
    at += block.length
    const output = new Uint8Array(Math.min(left, BLOCK_BYTES))
    if (size >= 0x8000_0000) output.set(block)
    else decompressLz4Block(block, output)
    left -= output.length
    parts.push(output)
  }
  return Buffer.concat(parts)
}

for (const [what, input] of Object.entries(INPUTS)) {
  test(`lz4 reads what we compressed: ${what}`, { skip }, () => {
    assert.deepEqual(Buffer.from(run(['-d', '-c'], frame(input))), Buffer.from(input))
  })

  for (const level of ['-1', '-9']) {
    test(`we read what lz4 ${level} compressed: ${what}`, { skip }, () => {
      const args = [level, '-c', '-B4', '-BI', '--no-frame-crc']
      assert.deepEqual(Buffer.from(unframe(run(args, input), input.length)), Buffer.from(input))
    })
  }
}
