/**
 * Options of one's own: extensions of Protobuf's option messages, `option (google.api.http) = { … }`.
 * They are set when all files are known, because they may be defined in any of them.
 */
import { type DescExtension, type Message, setExtension } from '@bufbuild/protobuf'
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt'
import { toError, UsageError } from '../../core/errors.ts'
import { BUILT_IN_FILES } from './built-in-files.ts'
import { describe } from './describe-files.ts'
import { type CustomOption, optionValue } from './option-values.ts'
import type { SchemaLimits } from './schema-limits.ts'

/** @throws UsageError ERR_SCHEMA for an option that is not defined, or a value that does not fit */
export function setCustomOptions(
  all: readonly CustomOption[],
  descriptors: ReadonlyMap<string, FileDescriptorProto>,
  limits: Required<SchemaLimits>,
): void {
  if (all.length === 0) return
  const known = extensionsOf(descriptors, limits)
  const lists = new Map<Message, Map<DescExtension, unknown[]>>()
  for (const option of all) {
    const extension = findExtension(known, option)
    try {
      if (extension.fieldKind !== 'list') {
        setExtension(option.options, extension, optionValue(extension, option.value))
        continue
      }
      const values = listOf(lists, option.options, extension)
      const given = Array.isArray(option.value) ? option.value : [option.value]
      values.push(...given.map((value) => optionValue(extension, value)))
      setExtension(option.options, extension, values)
    } catch (cause) {
      const why = toError(cause).message
      throw new UsageError('ERR_SCHEMA', `${option.file}: option (${option.name}): ${why}`, {
        cause,
      })
    }
  }
}

function extensionsOf(
  descriptors: ReadonlyMap<string, FileDescriptorProto>,
  limits: Required<SchemaLimits>,
): Map<string, DescExtension> {
  const known = new Map<string, DescExtension>()
  for (const file of [...BUILT_IN_FILES, ...describe(descriptors, limits).values()]) {
    for (const extension of file.extensions) known.set(extension.typeName, extension)
    const messages = [...file.messages]
    for (let message = messages.pop(); message !== undefined; message = messages.pop()) {
      for (const extension of message.nestedExtensions) known.set(extension.typeName, extension)
      messages.push(...message.nestedMessages)
    }
  }
  return known
}

/** The innermost scope that has it. */
function findExtension(
  known: ReadonlyMap<string, DescExtension>,
  { name, scope, schema, file }: CustomOption,
): DescExtension {
  const whole = name.startsWith('.')
  for (let at = whole ? 0 : scope.length; at >= 0; at = scope.lastIndexOf('.', at - 1)) {
    const inside = at === 0 ? '' : `${scope.slice(0, at)}.`
    const found = known.get(whole ? name.slice(1) : inside + name)
    if (found !== undefined && found.extendee.typeName === schema.typeName) return found
    if (at === 0) break
  }
  const found = known.get(name)
  if (found !== undefined && found.extendee.typeName === schema.typeName) return found
  const message = `${file}: option (${name.slice(0, 128)}) is not defined`
  throw new UsageError('ERR_SCHEMA', message)
}

function listOf(
  lists: Map<Message, Map<DescExtension, unknown[]>>,
  options: Message,
  extension: DescExtension,
): unknown[] {
  const byExtension = lists.get(options) ?? new Map<DescExtension, unknown[]>()
  lists.set(options, byExtension)
  const values = byExtension.get(extension) ?? []
  byExtension.set(extension, values)
  return values
}
