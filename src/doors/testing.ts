/** `heddle/testing`: conformance kits, a manual clock, seeded randomness, scripted peers. */

export {
  type DatagramHooks,
  DatagramLog,
  type HeardDatagram,
} from '../testing/datagram/datagram-log.ts'
export * from '../testing/datagram-conformance.ts'
export * from '../testing/decoder-conformance.ts'
export * from '../testing/deep-equal.ts'
export * from '../testing/faulty-datagrams.ts'
export * from '../testing/faulty-transport.ts'
export * from '../testing/harness.ts'
export * from '../testing/leak-check.ts'
export * from '../testing/manual-clock.ts'
export * from '../testing/message/message-log.ts'
export * from '../testing/message-conformance.ts'
export * from '../testing/multiplexed-conformance.ts'
export * from '../testing/scripted-peer.ts'
export * from '../testing/seeded-random.ts'
export * from '../testing/service-conformance.ts'
export * from '../testing/session-conformance.ts'
export * from '../testing/simulation.ts'
export * from '../testing/transport/connection-log.ts'
export * from '../testing/transport-conformance.ts'
