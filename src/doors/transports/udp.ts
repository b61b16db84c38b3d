/** `heddle/transports/udp`: datagrams to one, many and all. */
export * from '../../transports/udp/amplification-guard.ts'
export * from '../../transports/udp/source-rate-limit.ts'
export * from '../../transports/udp/udp.ts'
export * from '../../transports/udp/udp-options.ts'
export * from '../../transports/udp/udp-socket.ts'
