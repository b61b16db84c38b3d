/**
 * Any bytes as a message: the same as protobuf-es makes of them, or refused as it does; and what was
 * decoded is encoded as by it.
 */
import { create, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  AnySchema,
  ApiSchema,
  ListValueSchema,
  TypeSchema,
  ValueSchema,
} from '@bufbuild/protobuf/wkt'
import { messageCodec } from './codec.ts'

const SCHEMAS: readonly DescMessage[] = [
  ApiSchema,
  TypeSchema,
  AnySchema,
  ValueSchema,
  ListValueSchema,
]

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  toBinary(
    ApiSchema,
    create(ApiSchema, {
      name: 'a.B',
      methods: [{ name: 'M', requestTypeUrl: 'x/y', responseStreaming: true }],
      options: [{ name: 'o', value: { typeUrl: 'z', value: Uint8Array.of(1) } }],
      version: 'ü',
    }),
  ),
  toBinary(
    TypeSchema,
    create(TypeSchema, { name: 't', fields: [{ number: 5, kind: 9 }], oneofs: ['a', 'b'] }),
  ),
  toBinary(AnySchema, create(AnySchema, { typeUrl: 'x', value: Uint8Array.of(1, 2, 3) })),
  toBinary(ValueSchema, create(ValueSchema, { kind: { case: 'numberValue', value: 1.5 } })),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const schema = SCHEMAS[seed % SCHEMAS.length] as DescMessage
  const codec = messageCodec(schema)
  const mine = attempt(() => codec.decode(bytes))
  const theirs = attempt(() => fromBinary(schema, bytes))
  if (typeof mine === 'string' || typeof theirs === 'string') {
    if (mine !== theirs) throw new Error(`${String(mine)} instead of ${String(theirs)}`)
    return
  }
  const written = codec.encode(theirs).join()
  if (codec.encode(mine).join() !== written) throw new Error('another message was decoded')
  if (toBinary(schema, theirs).join() !== written) throw new Error('another message was encoded')
}

/** The message, or why it was refused. */
function attempt<Value extends object>(body: () => Value): Value | string {
  try {
    return body()
  } catch (error) {
    return (error as Error).message
  }
}
