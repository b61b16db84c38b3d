/**
 * Keys of a sealed connection: what both sides hold beforehand, and what is made of it for each
 * connection and direction. Everything is HKDF with SHA-256 (RFC 5869), by `node:crypto`.
 *
 *     secrets   HKDF(ikm = pre-shared key, salt = salt of the initiating ‖ of the accepting side,
 *                    info = "heddle seal 1 secrets" ‖ SHA-256(hello ‖ hello), 64 bytes)
 *               the first 32 for what the initiating side sends, the others for the accepting side
 *     key, iv   HKDF(ikm = secret, salt = "", info = "heddle seal 1 key", 32 + 12 bytes)
 *     next      HKDF(ikm = secret, salt = "", info = "heddle seal 1 next", 32 bytes)
 */
import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { UsageError } from '../../core/errors.ts'
import { reveal, Secret } from '../../core/secret.ts'

export interface SealKey {
  /** Its name, 1 to 64 bytes of UTF-8. Not secret: it is sent in the clear. */
  readonly id: string
  /**
   * 32 random bytes, or their base64 (`openssl rand -base64 32`). No password: nothing here makes
   * guessing slow.
   */
  readonly key: Uint8Array | string | Secret<Uint8Array> | Secret<string>
}

export const SealCiphers = Object.freeze(['aes-256-gcm', 'chacha20-poly1305'] as const)
export type SealCipher = (typeof SealCiphers)[number]

/** Keys by id, checked. @throws UsageError that names the id and never the key */
export function checkKeys(keys: readonly SealKey[]): ReadonlyMap<string, Secret<Uint8Array>> {
  const checked = new Map<string, Secret<Uint8Array>>()
  for (const { id, key } of keys) {
    const idBytes = Buffer.byteLength(id)
    if (idBytes < 1 || idBytes > MAX_KEY_ID_BYTES) {
      throw new UsageError('ERR_ARGUMENT', `key id of ${idBytes} bytes, must be 1 to 64`)
    }
    if (checked.has(id)) throw new UsageError('ERR_ARGUMENT', `key id ${id} is given twice`)
    const bytes = keyBytes(key)
    if (bytes.length !== KEY_BYTES) {
      throw new UsageError('ERR_ARGUMENT', `key ${id} has ${bytes.length} bytes, must be 32`)
    }
    checked.set(id, new Secret(bytes))
  }
  if (checked.size === 0) throw new UsageError('ERR_ARGUMENT', 'keys is empty')
  return checked
}

/** One direction: its secret, from which the key of each epoch and the next secret are made. */
export class DirectionKeys {
  #secret: Uint8Array
  #key!: KeyObject
  #iv!: Uint8Array
  #epoch = 0

  constructor(secret: Uint8Array) {
    this.#secret = secret
    this.#derive()
  }

  get key(): KeyObject {
    return this.#key
  }
  /** How often the key was changed. */
  get epoch(): number {
    return this.#epoch
  }

  /** The nonce of one record, as in TLS 1.3 (RFC 8446 5.3): never the same twice under one key. */
  nonce(sequence: number, into: Uint8Array): Uint8Array {
    into.set(this.#iv)
    for (let index = 0; index < 4; index++) {
      into[NONCE_BYTES - 1 - index] =
        (into[NONCE_BYTES - 1 - index] as number) ^ (sequence >>> (8 * index))
    }
    return into
  }

  /** The next key. The one before is forgotten and cannot be made of this one. */
  advance(): void {
    const next = expand(this.#secret, NEXT_LABEL, KEY_BYTES)
    this.#secret.fill(0)
    this.#secret = next
    this.#epoch += 1
    this.#derive()
  }

  #derive(): void {
    const material = expand(this.#secret, KEY_LABEL, KEY_BYTES + NONCE_BYTES)
    this.#key = createSecretKey(material.subarray(0, KEY_BYTES))
    this.#iv = material.slice(KEY_BYTES)
    material.fill(0)
  }
}

/** The keys of both directions. The hellos are all that was said in the clear: a changed one shows. */
export function deriveKeys(
  preShared: Secret<Uint8Array>,
  salts: Uint8Array,
  hellos: readonly Uint8Array[],
): { readonly initiating: DirectionKeys; readonly accepting: DirectionKeys } {
  const transcript = createHash('sha256')
  for (const hello of hellos) transcript.update(hello)
  const info = Buffer.concat([Buffer.from(SECRETS_LABEL), transcript.digest()])
  const secrets = new Uint8Array(hkdfSync('sha256', preShared.reveal(), salts, info, 2 * KEY_BYTES))
  const initiating = new DirectionKeys(secrets.slice(0, KEY_BYTES))
  const accepting = new DirectionKeys(secrets.slice(KEY_BYTES))
  secrets.fill(0)
  return { initiating, accepting }
}

function keyBytes(key: SealKey['key']): Uint8Array {
  const value: Uint8Array | string = key instanceof Secret ? key.reveal() : key
  if (typeof value !== 'string') return value.slice()
  return new Uint8Array(Buffer.from(reveal(value), 'base64'))
}

function expand(secret: Uint8Array, label: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, EMPTY, label, length))
}

export const KEY_BYTES = 32
export const NONCE_BYTES = 12
export const SALT_BYTES = 32
export const MAX_KEY_ID_BYTES = 64
const SECRETS_LABEL = 'heddle seal 1 secrets'
const KEY_LABEL = 'heddle seal 1 key'
const NEXT_LABEL = 'heddle seal 1 next'
const EMPTY = new Uint8Array(0)
