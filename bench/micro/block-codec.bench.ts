/**
 * Blocks of the Olocus protocol: signing, verifying, and each encoding, with payloads of 256 bytes and
 * 64 KiB. What a signature costs is OpenSSL's.
 */
import { ed25519Key, nodeSigning } from '../../src/platform/node-signing.ts'
import type { Block } from '../../src/protocols/olocus/block.ts'
import { createGenesis } from '../../src/protocols/olocus/create.ts'
import {
  type BlockEncoding,
  decodeBlock,
  ENCODING_IDS,
  encodeBlock,
} from '../../src/protocols/olocus/encodings/encodings.ts'
import { bytesPayload } from '../../src/protocols/olocus/payload.ts'
import { verifyBlock } from '../../src/protocols/olocus/verify.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const key = ed25519Key(new Uint8Array(32).fill(7))
const SIZES = { '256 B': 256, '64 KiB': 65_536 } as const

function blockOf(bytes: number): Block {
  const payload = Uint8Array.from({ length: bytes }, (_, index) => (index * 31) & 0xff)
  const options = { key, host: nodeSigning, timestamp: 1_640_995_200 }
  return createGenesis(bytesPayload(payload), options) as Block
}

const variants: Record<string, () => Variant> = {}
for (const [name, bytes] of Object.entries(SIZES)) {
  const block = blockOf(bytes)
  variants[`create and sign, ${name}`] = () => repeat(() => blockOf(bytes))
  variants[`verify, ${name}`] = () => repeat(() => verifyBlock(block, { host: nodeSigning }))
  for (const encoding of Object.keys(ENCODING_IDS) as BlockEncoding[]) {
    const encoded = encodeBlock(block, encoding).slice()
    variants[`encode ${encoding}, ${name}`] = () => repeat(() => encodeBlock(block, encoding))
    variants[`decode ${encoding}, ${name}`] = () => repeat(() => decodeBlock(encoded, encoding))
  }
}

export const benchmark: Benchmark = { about: 'one block, on one core', variants }

function repeat(operation: () => unknown): Variant {
  return {
    run(count) {
      for (let left = count; left > 0; left--) kept = operation()
    },
  }
}

/** So that nothing is optimised away. */
export let kept: unknown
