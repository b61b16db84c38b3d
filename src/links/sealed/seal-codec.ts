/**
 * Records of a sealed connection.
 *
 *     hello    | "HSL1" | cipher u8 | length of key id u8 | key id | salt 32 |
 *     sealed   | type u8 | sequence u32 | ciphertext … | tag 16 |
 *
 *     initiating                          accepting
 *         hello  ------------------------->
 *         <------------------------- hello, confirm
 *         confirm, data …  ---------------->
 *
 * The initiating side names key and cipher, the other repeats them or closes. The first sealed record
 * of each side is `confirm`, empty: only who holds the key can make it for these two salts, so what
 * was recorded of another connection is of no use.
 *
 * The additional data of a record are its epoch (u32), type and sequence; the nonce is made of the
 * sequence. Sequences begin at 0 with each key and have no gap. `end` is the last record: a stream
 * that ends without was cut. After `rekey` the sender uses the next key.
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import type { ConnectionRole, SealFacts } from '../../core/connection.ts'
import { ProtocolError, TransportError } from '../../core/errors.ts'
import type { RecordCodec } from '../layer/record-codec.ts'
import {
  type DirectionKeys,
  deriveKeys,
  MAX_KEY_ID_BYTES,
  NONCE_BYTES,
  SALT_BYTES,
  type SealCipher,
  SealCiphers,
} from './seal-keys.ts'
import type { SealSettings } from './seal-options.ts'

export class SealCodec implements RecordCodec {
  readonly overheadBytes: number = HEADER_BYTES + TAG_BYTES
  readonly maxPayloadBytes: number = MAX_PAYLOAD_BYTES
  readonly ownsPayloads = true
  readonly #settings: SealSettings
  readonly #initiating: boolean
  #state: 'hello' | 'confirm' | 'ready' = 'hello'
  #ended = false
  #hello: Uint8Array | undefined
  /** What the hello of the initiating side named: keys may change before it is answered. */
  #ownKeyId: string | undefined
  #facts: SealFacts | undefined
  #out: DirectionKeys | undefined
  #in: DirectionKeys | undefined
  #outSequence = 0
  #inSequence = 0
  /** Sent with the current key, and since when. */
  #outBytes = 0
  #outSince: number | undefined
  readonly #nonce = new Uint8Array(NONCE_BYTES)
  readonly #associated = new Uint8Array(4 + HEADER_BYTES)

  constructor(settings: SealSettings, role: ConnectionRole) {
    this.#settings = settings
    this.#initiating = role === 'initiating'
  }

  get ready(): boolean {
    return this.#state === 'ready'
  }
  get ended(): boolean {
    return this.#ended
  }
  /** What was agreed. */
  get facts(): SealFacts | undefined {
    return this.#facts
  }

  begin(): readonly Uint8Array[] {
    if (!this.#initiating) return []
    const { cipher, keys } = this.#settings
    const { keyId = keys().keys().next().value as string } = this.#settings
    this.#ownKeyId = keyId
    this.#hello = this.#makeHello(cipher, keyId)
    return [this.#hello]
  }

  receiveHandshake(record: Uint8Array): readonly Uint8Array[] {
    if (this.#state === 'hello') return this.#receiveHello(record)
    let type: number
    try {
      type = this.#unseal(record).type
    } catch (cause) {
      throw refused('the peer’s first record does not open: it has another key', cause)
    }
    if (type !== Type.CONFIRM) throw refused(`the peer’s first record is of type ${type}`)
    this.#state = 'ready'
    return []
  }

  seal(payload: Uint8Array, now: number, emit: (pieces: readonly Uint8Array[]) => void): void {
    const { rekeyAfterBytes, rekeyAfterRecords, rekeyAfterMs } = this.#settings
    this.#outSince ??= now
    if (
      this.#outSequence >= rekeyAfterRecords ||
      this.#outBytes + payload.length > rekeyAfterBytes ||
      now - this.#outSince >= rekeyAfterMs
    ) {
      emit(this.#seal(Type.REKEY, EMPTY))
      this.#out?.advance()
      this.#outSequence = 0
      this.#outBytes = 0
      this.#outSince = now
    }
    this.#outBytes += payload.length
    emit(this.#seal(Type.DATA, payload))
  }

  sealEnd(emit: (pieces: readonly Uint8Array[]) => void): void {
    emit(this.#seal(Type.END, EMPTY))
  }

  open(record: Uint8Array): Uint8Array | undefined {
    if (this.#ended) throw new ProtocolError('ERR_PROTOCOL', 'a record came after the last one')
    const { type, payload } = this.#unseal(record)
    if (type === Type.DATA) return payload
    if (payload.length > 0) {
      throw new ProtocolError('ERR_PROTOCOL', `record of type ${type} with a payload`)
    }
    if (type === Type.END) this.#ended = true
    else if (type === Type.REKEY) {
      this.#in?.advance()
      this.#inSequence = 0
    } else throw new ProtocolError('ERR_PROTOCOL', `record of type ${type}`)
    return undefined
  }

  // The handshake.

  #receiveHello(record: Uint8Array): readonly Uint8Array[] {
    const theirs = parseHello(record)
    const { keys, accepted } = this.#settings
    const preShared = keys().get(theirs.keyId)
    if (preShared === undefined) throw refused(`no key ${JSON.stringify(theirs.keyId)} here`)
    if (!accepted.includes(theirs.cipher)) throw refused(`cipher ${theirs.cipher} is not accepted`)
    if (this.#initiating) {
      const { cipher } = this.#settings
      if (theirs.cipher !== cipher || theirs.keyId !== this.#ownKeyId) {
        throw refused('the peer’s hello names another key or cipher')
      }
    } else this.#hello = this.#makeHello(theirs.cipher, theirs.keyId)
    const own = this.#hello as Uint8Array
    const heard = record.slice()
    const hellos = this.#initiating ? [own, heard] : [heard, own]
    const salts = Buffer.concat(hellos.map((hello) => hello.subarray(-SALT_BYTES)))
    const { initiating, accepting } = deriveKeys(preShared, salts, hellos)
    this.#out = this.#initiating ? initiating : accepting
    this.#in = this.#initiating ? accepting : initiating
    this.#facts = Object.freeze({ cipher: theirs.cipher, keyId: theirs.keyId })
    this.#state = 'confirm'
    const confirm = Buffer.concat(this.#seal(Type.CONFIRM, EMPTY))
    return this.#initiating ? [confirm] : [own, confirm]
  }

  #makeHello(cipher: SealCipher, keyId: string): Uint8Array {
    const id = Buffer.from(keyId)
    const hello = new Uint8Array(HELLO_BYTES + id.length)
    hello.set(MAGIC)
    hello[4] = SealCiphers.indexOf(cipher) + 1
    hello[5] = id.length
    hello.set(id, 6)
    const salt = hello.subarray(-SALT_BYTES)
    if (this.#settings.randomBytes === undefined) randomFillSync(salt)
    else this.#settings.randomBytes(salt)
    return hello
  }

  // Records.

  #seal(type: number, payload: Uint8Array): readonly Uint8Array[] {
    const keys = this.#out as DirectionKeys
    const sequence = this.#outSequence
    this.#outSequence += 1
    const nonce = keys.nonce(sequence, this.#nonce)
    const cipher = createCipheriv(this.#cipherName, keys.key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(this.#associatedData(keys.epoch, type, sequence))
    const ciphertext = cipher.update(payload)
    cipher.final()
    return [this.#associated.slice(4), ciphertext, cipher.getAuthTag()]
  }

  #unseal(record: Uint8Array): { readonly type: number; readonly payload: Uint8Array } {
    if (record.length < this.overheadBytes) {
      throw new ProtocolError('ERR_MALFORMED', `sealed record of ${record.length} bytes`)
    }
    const keys = this.#in as DirectionKeys
    const type = record[0] as number
    const sequence = readUint32(record, 1)
    if (sequence !== this.#inSequence) {
      const message = `record ${sequence} of key ${keys.epoch} where ${this.#inSequence} is due`
      throw new ProtocolError('ERR_REPLAYED', message)
    }
    if (sequence >= this.#settings.maxRecordsPerKey) {
      const { maxRecordsPerKey } = this.#settings
      const message = `${sequence + 1} records under one key, over maxRecordsPerKey ${maxRecordsPerKey}`
      throw new ProtocolError('ERR_LIMIT', message)
    }
    const nonce = keys.nonce(sequence, this.#nonce)
    const decipher = createDecipheriv(this.#cipherName, keys.key, nonce, {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(this.#associatedData(keys.epoch, type, sequence))
    decipher.setAuthTag(record.subarray(record.length - TAG_BYTES))
    const payload = decipher.update(record.subarray(HEADER_BYTES, record.length - TAG_BYTES))
    try {
      decipher.final()
    } catch (cause) {
      const message = `record ${sequence} of key ${keys.epoch} is not authentic`
      throw new ProtocolError('ERR_FORGED', message, { cause })
    }
    this.#inSequence += 1
    return { type, payload }
  }

  /** | epoch u32 | type u8 | sequence u32 |, of which all but the epoch is the record's header. */
  #associatedData(epoch: number, type: number, sequence: number): Uint8Array {
    const bytes = this.#associated
    writeUint32(bytes, 0, epoch)
    bytes[4] = type
    writeUint32(bytes, 5, sequence)
    return bytes
  }

  /** Both are AEADs of the same shape; the types of Node know them as different. */
  get #cipherName(): 'aes-256-gcm' {
    return this.#facts?.cipher as 'aes-256-gcm'
  }
}

interface Hello {
  readonly cipher: SealCipher
  readonly keyId: string
}

/** @throws TransportError ERR_SEAL */
export function parseHello(record: Uint8Array): Hello {
  if (record.length < HELLO_BYTES || MAGIC.some((byte, at) => record[at] !== byte)) {
    throw refused('the peer does not speak sealed records of version 1')
  }
  const cipher = SealCiphers[(record[4] as number) - 1]
  if (cipher === undefined) throw refused(`cipher number ${record[4]} is not known`)
  const idBytes = record[5] as number
  if (idBytes < 1 || idBytes > MAX_KEY_ID_BYTES || record.length !== HELLO_BYTES + idBytes) {
    throw refused(`hello of ${record.length} bytes with a key id of ${idBytes}`)
  }
  const keyId = Buffer.from(record.subarray(6, 6 + idBytes)).toString()
  return { cipher, keyId }
}

function refused(why: string, cause?: unknown): TransportError {
  return new TransportError('ERR_SEAL', `no seal was agreed: ${why}`, { cause, sent: 'nothing' })
}

function readUint32(bytes: Uint8Array, at: number): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32BE(at)
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

const Type = Object.freeze({ CONFIRM: 0, DATA: 1, END: 2, REKEY: 3 })
const MAGIC = new TextEncoder().encode('HSL1')
const HELLO_BYTES = 4 + 1 + 1 + SALT_BYTES
const HEADER_BYTES = 5
const TAG_BYTES = 16
/** A reader waits for a whole record: longer ones cost it memory and gain nothing. */
const MAX_PAYLOAD_BYTES = 65_536
const EMPTY = new Uint8Array(0)
