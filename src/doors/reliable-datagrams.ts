/** `heddle/reliable-datagrams`: messages over datagrams that arrive once, or are known to be lost. */
export * from '../links/reliable-datagrams/reliable-datagrams.ts'
export * from '../protocols/reliable-datagrams/messages.ts'
export * from '../protocols/reliable-datagrams/metadata.ts'
export * from '../protocols/reliable-datagrams/options.ts'
export * from '../protocols/reliable-datagrams/session.ts'
