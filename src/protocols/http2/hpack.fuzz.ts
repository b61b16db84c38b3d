/**
 * Any bytes at a decoder of field blocks: fields within the limits or a reason, and the same again;
 * what was read comes back from an encoder as it was.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { HpackEncoder } from './hpack-encoder.ts'

const MAX_LIST_BYTES = 2_048
const MAX_TABLE_BYTES = 512

/** Valid blocks to start from: RFC 7541, C.4.1 to C.4.3 and C.6.1 to C.6.3, and a size update. */
export const samples: readonly Uint8Array[] = [
  '828684418cf1e3c2e5f23a6ba0ab90f4ff',
  '828684be5886a8eb10649cbf',
  '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
  '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
  '3fe103400a637573746f6d2d6b65790d637573746f6d2d686561646572be',
  '100870617373776f726406736563726574000161ff80',
].map((text) => Uint8Array.from(Buffer.from(text, 'hex')))

export function fuzz(seed: number, bytes: Uint8Array): void {
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  const decoders = [decoderOf(), decoderOf()] as const
  const encoder = new HpackEncoder({ maxTableBytes: seed % 1_024 })
  const check = new HpackDecoder({ maxListBytes: MAX_LIST_BYTES })
  // Two blocks, so that the second one finds what the first put into the table.
  for (const block of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
    const [fields, again] = decoders.map((decoder) => read(decoder, block)) as [string[], string[]]
    if (fields.join('\n') !== again.join('\n')) throw new Error('decoded in two ways')
    let size = 0
    for (const text of fields) size += text.length + 16
    if (size > MAX_LIST_BYTES) throw new Error(`a list of ${size} bytes`)
    if (decoders[0].tableBytes > MAX_TABLE_BYTES) throw new Error('the table is over its limit')
    const back = read(check, write(encoder, fields))
    if (back.join('\n') !== fields.join('\n')) throw new Error('encoded differently')
  }
}

function decoderOf(): HpackDecoder {
  const options = { maxTableBytes: MAX_TABLE_BYTES, maxListBytes: MAX_LIST_BYTES }
  const decoder = new HpackDecoder(options)
  decoder.acknowledge()
  // As the acknowledgement asks for.
  decoder.decode(Uint8Array.of(0x3f, 0xe1, 0x03), [])
  return decoder
}

function read(decoder: HpackDecoder, block: Uint8Array): string[] {
  const fields: string[] = []
  const result = decoder.decode(block, fields)
  if (result === 'broken' && decoder.problem === undefined) throw new Error('no reason was given')
  return fields
}

function write(encoder: HpackEncoder, fields: readonly string[]): Uint8Array {
  const out = new ByteWriter()
  const bound = encoder.bound(fields)
  out.reserve(bound)
  encoder.begin(out)
  for (let at = 0; at < fields.length; at += 2) {
    encoder.field(out, fields[at] as string, fields[at + 1] as string)
  }
  if (out.length > bound) throw new Error(`${out.length} bytes, the bound was ${bound}`)
  return out.take()
}
