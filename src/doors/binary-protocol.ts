/** `heddle/binary-protocol`: a protocol of one's own, with a typed client and server over any transport. */
export * from '../links/binary-protocol/define-protocol.ts'
export { json, type PayloadFormat, raw } from '../links/binary-protocol/payload-format.ts'
export {
  type BodyOf,
  type CallDefinition,
  type CallName,
  type CallOptions,
  type ChecksumName,
  call,
  type EventDefinition,
  type EventName,
  type EventOptions,
  event,
  type MessageDefinitions,
  type ProtocolOptions,
  type ReplyOf,
  type RequestOf,
} from '../links/binary-protocol/protocol-definition.ts'
export type {
  EventListener,
  ProtocolClient,
  ProtocolPeer,
} from '../links/binary-protocol/protocol-peer.ts'
