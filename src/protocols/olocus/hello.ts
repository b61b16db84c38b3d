/**
 * Who speaks, in which version and format: an exchange before the first block, for peers that want
 * one. Without it a peer is known by the signatures of its blocks only.
 *
 *     dialer                                listener
 *       Hello {versions, formats, key, …} →   ← Hello
 *       HelloConfirm {digests, signature} →   ← HelloConfirm
 *
 * The signature is over `olocus-hello:`, the digest of the signer's own hello and that of the one it
 * received. So nobody between the two can take a format or a version out of an offer: the digests
 * would not agree, and both sides refuse (DowngradeAttemptDetected). `binding` ties the exchange to
 * the channel under it (a TLS exporter, a Noise handshake hash).
 *
 * Sans-I/O: `start` and `receive` return what has to be sent. Each message is refused over
 * `MAX_HELLO_BYTES`.
 */
import { UsageError } from '../../core/errors.ts'
import { type Eventual, type SigningHost, type SigningKey, whenReady } from '../../core/signing.ts'
import { BLOCK_VERSION, sameBytes } from './block.ts'
import { blockError } from './block-codes.ts'
import { hexText } from './byte-text.ts'
import { ENCODING_IDS } from './encodings/encodings.ts'
import { confirmText, type Hello, helloText, readConfirm, readHello } from './hello-messages.ts'
import { isCanonicalScalar, isStrongKey } from './key-checks.ts'
import { COMPRESSION_IDS, formatOf, WireFormat } from './wire-format.ts'

export interface NegotiationOptions {
  role: 'dialer' | 'listener'
  key: SigningKey
  host: SigningHost
  /** 32 bytes that nobody can guess, new for each connection. */
  nonce: Uint8Array
  /** Unix seconds. */
  now: number
  /** Who we are, for people. @default 'heddle' */
  agent?: string
  /** Formats that we take, best first; the dialer's order wins. @default binary alone */
  formats?: readonly WireFormat[]
  /** Oldest and newest version that we take. @default 0x0105 to 0x01ff, the minors of version 1 */
  versions?: readonly [min: number, max: number]
  /** Longest message that we take, in bytes. @default 1_048_576 */
  maxMessageBytes?: number
  /** What only the two ends of this channel know. @default empty, a channel without secrets */
  binding?: Uint8Array
  /** The only key that we talk to. @default any */
  expectedKey?: Uint8Array
  /** How far the clocks of two peers may be apart, in seconds. @default 300, as for blocks */
  maxClockSkewSeconds?: number
}

export const negotiationDefaults: Readonly<{
  agent: string
  versions: readonly [min: number, max: number]
  maxMessageBytes: number
  maxClockSkewSeconds: number
}> = Object.freeze({
  agent: 'heddle',
  versions: Object.freeze([BLOCK_VERSION, 0x01ff] as const),
  maxMessageBytes: 1_048_576,
  maxClockSkewSeconds: 300,
})

/** What both sides have agreed on. */
export interface Agreement {
  readonly format: WireFormat
  /** The newest version that both take. */
  readonly version: number
  /** Proven: the peer signed with it. */
  readonly peerKey: Uint8Array
  readonly peerAgent: string
  /** The smaller of both limits. */
  readonly maxMessageBytes: number
}

export class Negotiation {
  readonly #options: NegotiationOptions
  readonly #own: Hello
  readonly #ownBytes: Uint8Array
  #state: 'new' | 'hello' | 'confirm' | 'agreed' | 'failed' = 'new'
  #peer: { readonly hello: Hello; readonly digest: Uint8Array } | undefined
  #ownDigest: Uint8Array | undefined
  #draft: Agreement | undefined

  constructor(options: NegotiationOptions) {
    const {
      key,
      nonce,
      now,
      agent = negotiationDefaults.agent,
      formats = [WireFormat.default()],
      versions: [min, max] = negotiationDefaults.versions,
      maxMessageBytes = negotiationDefaults.maxMessageBytes,
      binding = new Uint8Array(0),
    } = options
    if (nonce.length !== 32) {
      throw new UsageError('ERR_ARGUMENT', `a nonce has 32 bytes, not ${nonce.length}`)
    }
    if (formats.length === 0) throw new UsageError('ERR_ARGUMENT', 'no format to agree on')
    this.#options = options
    this.#own = {
      agent,
      versions: [min, max],
      formats: formats.map(idsOf),
      maxMessageBytes,
      suites: [ED25519_SHA256],
      peerKey: hexText(key.publicKey),
      nonce: hexText(nonce),
      time: Math.floor(now),
      binding: hexText(binding),
    }
    this.#ownBytes = new TextEncoder().encode(helloText(this.#own))
    try {
      readHello(this.#ownBytes) // what a peer would refuse is refused here first
    } catch (cause) {
      throw new UsageError('ERR_ARGUMENT', 'this hello would be refused', { cause })
    }
  }

  get state(): 'new' | 'hello' | 'confirm' | 'agreed' | 'failed' {
    return this.#state
  }

  /** Set when `state` is `agreed`. */
  get agreement(): Agreement | undefined {
    return this.#state === 'agreed' ? this.#draft : undefined
  }

  /** The first message. Both sides send theirs at once. */
  start(): Uint8Array {
    if (this.#state !== 'new') throw new UsageError('ERR_STATE', 'the exchange has begun')
    this.#state = 'hello'
    return this.#ownBytes
  }

  /**
   * Takes a message of the peer; the next one when this has been answered. A failure is final.
   *
   * @returns what has to be sent, if anything
   * @throws ProtocolError with the code of the protocol
   */
  receive(message: Uint8Array): Eventual<Uint8Array | undefined> {
    try {
      if (this.#state === 'hello') return this.#guard(this.#takeHello(message))
      if (this.#state === 'confirm') return this.#guard(this.#takeConfirm(message))
    } catch (error) {
      this.#state = 'failed'
      throw error
    }
    throw blockError('InvalidNegotiationState', `a message while the exchange is ${this.#state}`)
  }

  /** The connection ended. @throws ProtocolError NegotiationIncomplete unless both agreed */
  end(): void {
    if (this.#state === 'agreed') return
    this.#state = 'failed'
    throw blockError('NegotiationIncomplete', 'the peer ended before both had agreed')
  }

  #takeHello(message: Uint8Array): Eventual<Uint8Array> {
    const { host, key } = this.#options
    const hello = readHello(message)
    this.#draft = this.#agree(hello)
    this.#state = 'confirm'
    return whenReady(host.sha256(this.#ownBytes), (own) =>
      whenReady(host.sha256(message), (peer) => {
        this.#ownDigest = own
        this.#peer = { hello, digest: peer }
        return whenReady(key.sign(transcript(own, peer)), (signature) =>
          new TextEncoder().encode(confirmText({ own, peer, signature })),
        )
      }),
    )
  }

  #takeConfirm(message: Uint8Array): Eventual<undefined> {
    const { host } = this.#options
    const peer = this.#peer
    const ownDigest = this.#ownDigest
    if (peer === undefined || ownDigest === undefined) {
      throw blockError('InvalidNegotiationState', 'a confirmation before our own was made')
    }
    const confirm = readConfirm(message)
    const { peerKey } = this.#draft as Agreement
    const signed = transcript(confirm.own, confirm.peer)
    const genuine =
      isCanonicalScalar(confirm.signature) && host.verifyEd25519(peerKey, signed, confirm.signature)
    return whenReady(genuine, (valid) => {
      if (!valid) {
        throw blockError(
          'InvalidSignature',
          'the confirmation is not signed by the key of the hello',
        )
      }
      // The peer speaks of its own hello first, then of ours.
      if (!sameBytes(confirm.own, peer.digest) || !sameBytes(confirm.peer, ownDigest)) {
        const message = 'the peer has seen another exchange: somebody between us changed it'
        throw blockError('DowngradeAttemptDetected', message)
      }
      this.#state = 'agreed'
      return undefined
    })
  }

  #agree(peer: Hello): Agreement {
    const {
      role,
      expectedKey,
      maxClockSkewSeconds = negotiationDefaults.maxClockSkewSeconds,
    } = this.#options
    const own = this.#own
    if (peer.nonce === own.nonce) {
      throw blockError('DowngradeAttemptDetected', 'our own hello came back')
    }
    const peerKey = readKey(peer, expectedKey)
    const version = commonVersion(own.versions, peer.versions)
    const ahead = peer.time - own.time
    if (Math.abs(ahead) > maxClockSkewSeconds) {
      const message = `the peer's clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead' : 'behind'}`
      const name = ahead > 0 ? 'PreferencesFromFuture' : 'PreferencesTooOld'
      throw blockError(name, `${message}, over the limit of ${maxClockSkewSeconds} s`)
    }
    if (!peer.suites.includes(ED25519_SHA256)) {
      throw blockError('RequiredAlgorithmMissing', 'the peer does not take suite 0')
    }
    if (peer.binding !== own.binding) {
      throw blockError('DowngradeAttemptDetected', 'the peer is at the end of another channel')
    }
    const [first, second] = role === 'dialer' ? [own, peer] : [peer, own]
    return {
      format: commonFormat(first.formats, second.formats),
      version,
      peerKey,
      peerAgent: peer.agent,
      maxMessageBytes: Math.min(own.maxMessageBytes, peer.maxMessageBytes),
    }
  }

  #guard<Value>(value: Eventual<Value>): Eventual<Value> {
    if (!(value instanceof Promise)) return value
    return value.catch((error: unknown) => {
      this.#state = 'failed'
      throw error
    })
  }
}

function readKey(peer: Hello, expected: Uint8Array | undefined): Uint8Array {
  const key = new Uint8Array(32)
  for (let at = 0; at < 32; at++)
    key[at] = Number.parseInt(peer.peerKey.slice(at * 2, at * 2 + 2), 16)
  if (!isStrongKey(key)) throw blockError('InvalidSignature', 'the key of the peer is a weak one')
  if (expected !== undefined && !sameBytes(key, expected)) {
    throw blockError('InvalidSignature', 'the peer has another key than expected')
  }
  return key
}

function commonVersion(own: readonly [number, number], peer: readonly [number, number]): number {
  const ranges = `${hexVersion(peer[0])} to ${hexVersion(peer[1])}, not ${hexVersion(own[0])} to ${hexVersion(own[1])}`
  if (peer[1] < own[0]) throw blockError('ProtocolVersionTooOld', `the peer speaks ${ranges}`)
  if (peer[0] > own[1]) throw blockError('ProtocolVersionMismatch', `the peer speaks ${ranges}`)
  return Math.min(own[1], peer[1])
}

function commonFormat(preferred: Hello['formats'], taken: Hello['formats']): WireFormat {
  for (const [encoding, compression] of preferred) {
    if (!taken.some(([e, c]) => e === encoding && c === compression)) continue
    const format = formatOf(encoding, compression)
    if (format !== undefined) return format
  }
  throw blockError('NoCommonAlgorithm', 'there is no format that both sides take')
}

function transcript(own: Uint8Array, peer: Uint8Array): Uint8Array {
  const message = new Uint8Array(DOMAIN.length + 64)
  message.set(DOMAIN)
  message.set(own, DOMAIN.length)
  message.set(peer, DOMAIN.length + 32)
  return message
}

function idsOf(format: WireFormat): readonly [number, number] {
  return [ENCODING_IDS[format.encoding], COMPRESSION_IDS[format.compression]]
}

function hexVersion(version: number): string {
  return `0x${version.toString(16).padStart(4, '0')}`
}

const DOMAIN = new TextEncoder().encode('olocus-hello:')
/** Suite 0 is the only one whose signatures fit into a block. */
const ED25519_SHA256 = 0
