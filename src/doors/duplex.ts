/** `heddle/duplex`: bridges to Node's streams, so that existing drivers run over any transport. */
export * from '../transports/node-stream/from-duplex.ts'
export * from '../transports/node-stream/to-duplex.ts'
