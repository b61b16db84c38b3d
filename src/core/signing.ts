/**
 * Signatures and digests of protocols that sign what they say, injected: pure layers have none.
 *
 * Node computes at once, a browser's WebCrypto only in promises. Both fit: what may come later is
 * `Eventual`, and `whenReady` goes on at once where it can, so that on Node no promise stands
 * between a byte and its message.
 */

/** A value that is there, or a promise of it. */
export type Eventual<Value> = Value | Promise<Value>

/** Goes on with `next`, in this call when the value is there. */
export function whenReady<Value, Result>(
  value: Eventual<Value>,
  next: (value: Value) => Eventual<Result>,
): Eventual<Result> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** What anybody can compute: no key of ours is needed. */
export interface SigningHost {
  /** The digest is the caller's to keep. */
  sha256(bytes: Uint8Array): Eventual<Uint8Array>
  /** Pure Ed25519 (RFC 8032). False for whatever is wrong; never an error for what a peer sent. */
  verifyEd25519(
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): Eventual<boolean>
}

/** An Ed25519 key that signs. It may live elsewhere: in WebCrypto, in a key store. */
export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** @returns 64 bytes, the caller's to keep */
  sign(message: Uint8Array): Eventual<Uint8Array>
}
