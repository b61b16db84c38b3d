/** `heddle/chaos`: fault injection around any transport, by seed, changed while it runs. */
export * from '../core/chaos/toxic.ts'
export { type ToxicChange, ToxicSet, type ToxicSetOptions } from '../core/chaos/toxic-set.ts'
export { type ChaosTransport, chaos } from '../links/chaos/chaos.ts'
export { type ChaosDatagrams, chaosDatagrams } from '../links/chaos/chaos-datagrams.ts'
export {
  ChaosMessageConnection,
  type ChaosMessageHandler,
} from '../links/chaos/chaos-message-connection.ts'
export { type ChaosMessages, chaosMessages } from '../links/chaos/chaos-messages.ts'
export { type ChaosOptions, chaosDefaults } from '../links/chaos/chaos-options.ts'
export type { ChaosControl } from '../links/chaos/chaos-transport.ts'
