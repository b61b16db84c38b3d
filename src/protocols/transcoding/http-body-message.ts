/** `google.api.HttpBody`: a message that is a body as it is, with its type. */
import { create, type DescMessage, type Message } from '@bufbuild/protobuf'

interface HttpBodyMessage extends Message {
  contentType: string
  data: Uint8Array
}

export function isHttpBody(desc: DescMessage | undefined): desc is DescMessage {
  return desc?.typeName === 'google.api.HttpBody'
}

/** @param desc of the schema at hand: any that has the name */
export function toHttpBody(desc: DescMessage, contentType: string, data: Uint8Array): Message {
  return create(desc, { contentType, data } as never)
}

export function readHttpBody(message: unknown): { contentType: string; data: Uint8Array } {
  return message as HttpBodyMessage
}
