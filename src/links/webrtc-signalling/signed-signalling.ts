/**
 * Signatures around any signalling, for a server in between that is not trusted.
 *
 * Whoever passes descriptions on can put the fingerprint of another certificate into them, and sit in
 * the middle. With this, each message carries an Ed25519 key and a signature (RFC 8032) over every
 * member, and messages whose key is not trusted, or whose signature is not right, are dropped.
 *
 *     signed bytes: "heddle-signal:1", type, session, from, to, seq, sdp, candidate, mid, reason,
 *                   each as UTF-8 behind its length, 4 bytes, big-endian
 *
 * A message that comes again is ignored by its receiver: sessions are chosen at random, and a
 * sequence number counts within one.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { AccessError, ProtocolError, UsageError } from '../../core/errors.ts'
import type {
  SignalHandler,
  Signalling,
  SignallingMembership,
  SignalMessage,
} from '../../transports/webrtc/signalling.ts'

export interface SignedSignallingOptions {
  /** Ed25519: what this side signs with. */
  readonly privateKey: KeyObject
  /**
   * Whether `key` (32 bytes, base64url, as `signingKeyText` gives it) may speak for the peer `from`.
   * Names that the signalling chose mean nothing: look at the key alone there.
   */
  readonly isTrusted: (from: string, key: string) => boolean
  /** A message was dropped: ERR_FORBIDDEN for a key, ERR_PROTOCOL for a signature or its absence. */
  readonly onRejected?: (error: Error, message: SignalMessage) => void
}

export function signedSignalling(
  signalling: Signalling,
  options: SignedSignallingOptions,
): Signalling {
  const { privateKey, isTrusted, onRejected } = options
  if (privateKey.asymmetricKeyType !== 'ed25519' || privateKey.type !== 'private') {
    throw new UsageError('ERR_ARGUMENT', 'signatures need a private Ed25519 key')
  }
  const key = signingKeyText(privateKey)
  return {
    async join(peer, handler, joinOptions): Promise<SignallingMembership> {
      const checking: SignalHandler = {
        onSignal(message) {
          const problem = problemOf(message, isTrusted)
          if (problem === undefined) handler.onSignal(message)
          else onRejected?.(problem, message)
        },
        onUndeliverable: (message) => handler.onUndeliverable(message),
        onLost: (reason) => handler.onLost(reason),
      }
      const membership = await signalling.join(peer, checking, joinOptions)
      return {
        peer: membership.peer,
        send(message) {
          const signature = sign(null, signedBytes(message), privateKey).toString('base64url')
          membership.send({ ...message, key, signature })
        },
        leave: () => membership.leave(),
      }
    },
  }
}

/** The public half of an Ed25519 key as messages carry it: 32 bytes, base64url. */
export function signingKeyText(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const { x } = publicKey.export({ format: 'jwk' })
  if (x === undefined) throw new UsageError('ERR_ARGUMENT', 'not an Ed25519 key')
  return x
}

function problemOf(
  message: SignalMessage,
  isTrusted: SignedSignallingOptions['isTrusted'],
): Error | undefined {
  const { from, key, signature } = message
  if (key === undefined || signature === undefined) {
    return new ProtocolError('ERR_PROTOCOL', `a message of ${from} is not signed`)
  }
  if (!isTrusted(from, key)) {
    return new AccessError('ERR_FORBIDDEN', `the key ${key} may not speak for ${from}`)
  }
  const bytes = Buffer.from(signature, 'base64url')
  const publicKey = readKey(key)
  if (publicKey !== undefined && verify(null, signedBytes(message), publicKey, bytes)) {
    return undefined
  }
  return new ProtocolError('ERR_PROTOCOL', `the signature of a message of ${from} is not right`)
}

function readKey(text: string): KeyObject | undefined {
  try {
    return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text } })
  } catch {
    return undefined
  }
}

function signedBytes(message: SignalMessage): Uint8Array {
  const { type, session, from, to, seq, sdp = '', candidate, reason = '' } = message
  const parts = [
    'heddle-signal:1',
    type,
    session,
    from,
    to,
    String(seq),
    sdp,
    candidate?.candidate ?? '',
    candidate?.mid ?? '',
    reason,
  ]
  return Buffer.concat(
    parts.map((part) => {
      const text = Buffer.from(part)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(text.length)
      return Buffer.concat([length, text])
    }),
  )
}
