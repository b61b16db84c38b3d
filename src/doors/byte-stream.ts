/** `heddle/byte-stream`: a transport of byte streams made of a transport of messages. */
export * from '../links/byte-stream/byte-stream.ts'
