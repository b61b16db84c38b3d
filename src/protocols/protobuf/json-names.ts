/** Names of fields in JSON, where whoever wrote the descriptors left them out. */
import type { DescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt'

export function fillJsonNames(file: FileDescriptorProto): void {
  for (const message of file.messageType) fillMessage(message)
}

function fillMessage(message: DescriptorProto): void {
  for (const field of message.field)
    if (field.jsonName === '') field.jsonName = jsonName(field.name)
  for (const nested of message.nestedType) fillMessage(nested)
}

/** `lowerCamelCase` as protoc has it: an underscore goes, the letter behind it is a capital. */
export function jsonName(name: string): string {
  let text = ''
  let upper = false
  for (const char of name) {
    if (char === '_') upper = true
    else {
      text += upper ? char.toUpperCase() : char
      upper = false
    }
  }
  return text
}
