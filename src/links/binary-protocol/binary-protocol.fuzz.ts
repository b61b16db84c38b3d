/** Any bytes for a body, a hello or a record: taken, or refused with a ProtocolError, never another. */
import { ProtocolError } from '../../core/errors.ts'
import { cbor } from './cbor.ts'
import { messagePack } from './message-pack.ts'
import { json } from './payload-format.ts'
import { ProtocolCodec } from './protocol-codec.ts'
import { checkDefinition } from './protocol-definition.ts'

const FORMATS = [json(), messagePack(), cbor()]
const definition = checkDefinition({
  name: 'fuzz',
  versions: [[1, 3]],
  payload: json(),
  checksum: 'crc32c',
  messages: {},
})

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  ...FORMATS.map((format) => format.encode({ a: [1, 'x', { b: null }], c: 2 ** 40 }, undefined)),
  ...new ProtocolCodec(definition, 'initiating').begin(),
]

export function fuzz(_seed: number, bytes: Uint8Array): void {
  for (const format of FORMATS) refusing(() => format.decode(bytes.slice(), undefined, 6))
  refusing(() => new ProtocolCodec(definition, 'accepting').receiveHandshake(bytes))
  refusing(() => new ProtocolCodec(definition, 'initiating').receiveHandshake(bytes))
  refusing(() => new ProtocolCodec(definition, 'accepting').open(bytes))
}

function refusing(decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
}
