/**
 * What goes in and out of a `ReliableDatagramSession`.
 */
import type { Address } from '../../core/address.ts'
import type { HeddleError, ProtocolError } from '../../core/errors.ts'

/** Sends a message. Its bytes are copied: they are kept until they are acknowledged. */
export interface ReliableDatagramCommand {
  readonly type: 'send'
  readonly payload: Uint8Array
  readonly to: Address
  /** Given back by `delivered` and `failed`. */
  readonly reference: number
}

export type ReliableDatagramEvent =
  /** A message, once. The payload is borrowed until the next `pollEvent` or `receive`. */
  | { readonly type: 'message'; readonly payload: Uint8Array; readonly from: Address }
  /** The peer has it. */
  | { readonly type: 'delivered'; readonly reference: number; readonly attempts: number }
  /** No acknowledgement came. The peer may have it all the same. */
  | { readonly type: 'failed'; readonly reference: number; readonly error: HeddleError }
  /** Somebody sent what is none of these. It was dropped. */
  | { readonly type: 'malformed'; readonly from: Address; readonly error: ProtocolError }
