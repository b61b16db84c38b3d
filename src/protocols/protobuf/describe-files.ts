/** From files as they are described to descriptors that messages are made with. */
import { createFileRegistry, type DescFile } from '@bufbuild/protobuf'
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt'
import { toError, UsageError } from '../../core/errors.ts'
import { BUILT_IN } from './built-in-files.ts'
import { inOrder } from './file-order.ts'
import { fillJsonNames } from './json-names.ts'
import { type SchemaLimits, schemaDefaults } from './schema-limits.ts'

/** Descriptors of files, each after those it imports. */
export function describe(
  protos: ReadonlyMap<string, FileDescriptorProto>,
  limits: Required<SchemaLimits> = schemaDefaults,
): Map<string, DescFile> {
  const order = inOrder(protos, (name) => BUILT_IN.get(name)?.proto, limits)
  try {
    for (const file of order) fillJsonNames(file)
    const registry = createFileRegistry({
      $typeName: 'google.protobuf.FileDescriptorSet',
      file: order,
    })
    return new Map([...registry.files].map((file) => [file.proto.name, file]))
  } catch (cause) {
    const why = toError(cause).message
    throw new UsageError('ERR_SCHEMA', `the descriptors do not fit together: ${why}`, { cause })
  }
}
