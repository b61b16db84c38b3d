/**
 * Any bytes as a block in each encoding, as a framed stream, as fragments and as a hello: an answer
 * or a `ProtocolError`, and what is taken says the same again in every encoding.
 */
import { ProtocolError } from '../../core/errors.ts'
import { Block, sameBytes } from './block.ts'
import {
  type BlockEncoding,
  decodeBlock,
  ENCODING_IDS,
  encodeBlock,
  type ReadableEncoding,
  sniffEncoding,
} from './encodings/encodings.ts'
import { FragmentReassembler, readFragment } from './fragments.ts'
import { BlockFrameDecoder } from './frame-decoder.ts'
import { readConfirm, readHello } from './hello-messages.ts'
import { WireFormat } from './wire-format.ts'

const canonical = new Uint8Array(190)
canonical.set([1, 5])
canonical[89] = 4
const block = new Block(canonical)
const encodings = Object.keys(ENCODING_IDS) as BlockEncoding[]

export const samples: readonly Uint8Array[] = [
  ...encodings.map((encoding) => encodeBlock(block, encoding)),
  new TextEncoder().encode(
    '{"proto":"olocus/1","agent":"a","versions":[261,261],"formats":[[0,0]]}',
  ),
]

export const tokens: readonly string[] = ['"header"', '"index":', '"payload":"', 'payload_hash']

export function fuzz(seed: number, bytes: Uint8Array): void {
  for (const encoding of [...encodings, 'binary-le'] as ReadableEncoding[]) check(encoding, bytes)
  attempt(() => sniffEncoding(bytes))
  attempt(() => readHello(bytes))
  attempt(() => readConfirm(bytes))
  attempt(() => WireFormat.fromDescriptor(bytes))
  frames(seed, bytes)
  fragments(seed, bytes)
}

function check(encoding: ReadableEncoding, bytes: Uint8Array): void {
  const found = attempt(() => decodeBlock(bytes, encoding, { maxPayloadBytes: 4_096 }))
  if (found === undefined) return
  if (found.payloadSize > 4_096) throw new Error(`${encoding}: a payload over its limit`)
  void found.payload
  for (const other of encodings) {
    const again = decodeBlock(encodeBlock(found, other), other)
    if (!sameBytes(again.bytes, found.bytes)) throw new Error(`${encoding} is not ${other}`)
  }
}

function frames(seed: number, bytes: Uint8Array): void {
  const decoder = new BlockFrameDecoder({ maxMessageBytes: 64 })
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  attempt(() => {
    for (const chunk of [bytes.slice(0, cut), bytes.slice(cut)]) {
      decoder.push(chunk)
      while (decoder.next() !== undefined);
    }
    decoder.end()
  })
}

function fragments(seed: number, bytes: Uint8Array): void {
  const reassembler = new FragmentReassembler({ chunkBytes: 4, maxBufferedBytes: 64 })
  let at = 0
  for (let step = 1; at < bytes.length; step++) {
    const size = 45 + ((seed + step) % 4)
    const fragment = readFragment(bytes.subarray(at, at + size))
    at += size
    if (fragment !== undefined) attempt(() => reassembler.receive(fragment, step))
    if (reassembler.bufferedBytes > 64) throw new Error('more is held than may be')
  }
}

function attempt<Result>(action: () => Result): Result | undefined {
  try {
    return action()
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}
