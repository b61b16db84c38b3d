/** `heddle/binary-protocol/cbor`: bodies in CBOR, by cborg. */
export { cbor } from '../../links/binary-protocol/cbor.ts'
