/** `heddle/binary-protocol/protobuf`: bodies in Protobuf, by @bufbuild/protobuf. */
export { protobuf } from '../../links/binary-protocol/protobuf.ts'
