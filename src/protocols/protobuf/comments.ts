/** What somebody wrote about a type, a field or a method, where the schema still has it. */
import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescFile,
  DescMessage,
  DescMethod,
  DescService,
} from '@bufbuild/protobuf'

export type Commented =
  | DescMessage
  | DescField
  | DescEnum
  | DescEnumValue
  | DescService
  | DescMethod

/** The comment in front of it, or behind it on the same line; undefined: none, or not kept. */
export function commentOf(desc: Commented): string | undefined {
  return commentsOf(fileOf(desc)).get(pathOf(desc).join())
}

function commentsOf(file: DescFile): ReadonlyMap<string, string> {
  const known = COMMENTS.get(file)
  if (known !== undefined) return known
  const comments = new Map<string, string>()
  for (const location of file.proto.sourceCodeInfo?.location ?? []) {
    const text = tidy(location.leadingComments) || tidy(location.trailingComments)
    if (text !== '') comments.set(location.path.join(), text)
  }
  COMMENTS.set(file, comments)
  return comments
}

/** As it was meant to be read: without the space that stands behind the slashes. */
function tidy(text: string): string {
  return text
    .split('\n')
    .map((line) => line.replace(/^ /, '').trimEnd())
    .join('\n')
    .trim()
}

function fileOf(desc: Commented): DescFile {
  if (desc.kind === 'field' || desc.kind === 'enum_value' || desc.kind === 'rpc') {
    return desc.parent.file
  }
  return desc.file
}

/** Numbers of fields and places in lists, from FileDescriptorProto down. */
function pathOf(desc: Commented): number[] {
  switch (desc.kind) {
    case 'message': {
      const { parent, file, proto } = desc
      if (parent === undefined) return [4, file.proto.messageType.indexOf(proto)]
      return [...pathOf(parent), 3, parent.proto.nestedType.indexOf(proto)]
    }
    case 'enum': {
      const { parent, file, proto } = desc
      if (parent === undefined) return [5, file.proto.enumType.indexOf(proto)]
      return [...pathOf(parent), 4, parent.proto.enumType.indexOf(proto)]
    }
    case 'field':
      return [...pathOf(desc.parent), 2, desc.parent.proto.field.indexOf(desc.proto)]
    case 'enum_value':
      return [...pathOf(desc.parent), 2, desc.parent.proto.value.indexOf(desc.proto)]
    case 'service':
      return [6, desc.file.proto.service.indexOf(desc.proto)]
    case 'rpc':
      return [...pathOf(desc.parent), 2, desc.parent.proto.method.indexOf(desc.proto)]
  }
}

const COMMENTS = new WeakMap<DescFile, ReadonlyMap<string, string>>()
