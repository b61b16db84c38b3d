/** `heddle/binary-protocol/message-pack`: bodies in MessagePack, by msgpackr. */
export { messagePack } from '../../links/binary-protocol/message-pack.ts'
