/**
 * Metadata of a call: what applications send beside messages, in header and trailer fields. A name may
 * have several values. Those whose name ends in `-bin` are bytes, base64 on the wire.
 *
 *     new GrpcMetadata({ 'x-tenant': 'blue', 'trace-bin': Uint8Array.of(1, 2, 3) })
 *
 * What arrived is looked at when somebody asks for it: most handlers never do.
 */
import { UsageError } from '../../core/errors.ts'
import { INSPECT, REDACTED } from '../../core/secret.ts'
import type { HttpFields } from '../http/fields.ts'
import { isSecretField } from '../http/secret-fields.ts'
import { decodeBinaryValue, encodeBinaryValue } from './base64.ts'

export type GrpcMetadataValue = string | Uint8Array

export type GrpcMetadataInit =
  | GrpcMetadata
  | Readonly<Record<string, GrpcMetadataValue | readonly GrpcMetadataValue[]>>
  | Iterable<readonly [string, GrpcMetadataValue]>

export class GrpcMetadata implements Iterable<[string, GrpcMetadataValue]> {
  /** name, value as on the wire, name, value … */
  #list: string[] | undefined
  #fields: HttpFields | undefined

  /** @throws UsageError ERR_ARGUMENT for a name or value that cannot be sent */
  constructor(init?: GrpcMetadataInit) {
    this.#list = undefined
    this.#fields = undefined
    if (init === undefined) return
    if (init instanceof GrpcMetadata) {
      this.#list = init.#read().slice()
      return
    }
    const entries = Symbol.iterator in init ? init : Object.entries(init)
    for (const [name, value] of entries) {
      if (typeof value === 'string' || value instanceof Uint8Array) this.append(name, value)
      else for (const one of value) this.append(name, one)
    }
  }

  /** What of received fields is metadata. */
  static fromFields(fields: HttpFields | undefined): GrpcMetadata {
    const metadata = new GrpcMetadata()
    metadata.#fields = fields
    return metadata
  }

  /** Values, not names. */
  get size(): number {
    return this.#read().length / 2
  }

  has(name: string): boolean {
    return this.#find(name.toLowerCase(), 0) >= 0
  }

  /** The first value, as text; of a `-bin` name its base64. */
  get(name: string): string | undefined {
    const at = this.#find(name.toLowerCase(), 0)
    return at < 0 ? undefined : this.#read()[at + 1]
  }

  getAll(name: string): string[] {
    const lower = name.toLowerCase()
    const values: string[] = []
    const list = this.#read()
    for (let at = this.#find(lower, 0); at >= 0; at = this.#find(lower, at + 2)) {
      values.push(list[at + 1] as string)
    }
    return values
  }

  /** The first value of a `-bin` name; undefined: none, or no base64. */
  getBinary(name: string): Uint8Array | undefined {
    return this.getAllBinary(name)[0]
  }

  /** What is no base64 is left out. */
  getAllBinary(name: string): Uint8Array[] {
    const values: Uint8Array[] = []
    // Values of one name may have been joined with commas on the way (PROTOCOL-HTTP2).
    for (const joined of this.getAll(name)) {
      for (const text of joined.split(',')) {
        const bytes = decodeBinaryValue(text.trim())
        if (bytes !== undefined) values.push(bytes)
      }
    }
    return values
  }

  append(name: string, value: GrpcMetadataValue): this {
    const lower = checkName(name)
    this.#read().push(lower, wireValue(lower, value))
    return this
  }

  set(name: string, value: GrpcMetadataValue): this {
    const lower = checkName(name)
    const text = wireValue(lower, value)
    this.delete(lower)
    this.#read().push(lower, text)
    return this
  }

  delete(name: string): boolean {
    const lower = name.toLowerCase()
    const list = this.#read()
    let kept = 0
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === lower) continue
      list[kept++] = list[at] as string
      list[kept++] = list[at + 1] as string
    }
    const found = kept < list.length
    list.length = kept
    return found
  }

  *[Symbol.iterator](): Iterator<[string, GrpcMetadataValue]> {
    const list = this.#read()
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at] as string
      const text = list[at + 1] as string
      if (!name.endsWith(BINARY)) yield [name, text]
      else {
        for (const one of text.split(',')) {
          const bytes = decodeBinaryValue(one.trim())
          if (bytes !== undefined) yield [name, bytes]
        }
      }
    }
  }

  /** Adds what is here to the fields of a message, as `HttpFields.fromTrusted` takes them. */
  writeTo(list: string[]): void {
    const own = this.#read()
    for (const text of own) list.push(text)
  }

  toJSON(): Record<string, string[]> {
    const shown: Record<string, string[]> = {}
    const list = this.#read()
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at] as string
      const values = (shown[name] ??= [])
      values.push(isSecretField(name) ? REDACTED : (list[at + 1] as string))
    }
    return shown
  }

  [INSPECT](): unknown {
    return this.toJSON()
  }

  #find(lower: string, from: number): number {
    const list = this.#read()
    for (let at = from; at < list.length; at += 2) if (list[at] === lower) return at
    return -1
  }

  #read(): string[] {
    if (this.#list !== undefined) return this.#list
    const list: string[] = []
    this.#list = list
    this.#fields?.forEach((name, value) => {
      const lower = name.toLowerCase()
      if (!NOT_METADATA.has(lower)) list.push(lower, value)
    })
    this.#fields = undefined
    return list
  }
}

function checkName(name: string): string {
  const lower = name.toLowerCase()
  if (!/^[0-9a-z_.-]+$/.test(lower)) {
    const message = `metadata name ${JSON.stringify(name)}: only letters, digits and _ - . are allowed`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  if (NOT_METADATA.has(lower)) {
    throw new UsageError('ERR_ARGUMENT', `${lower} belongs to the protocol, it is no metadata`)
  }
  return lower
}

function wireValue(name: string, value: GrpcMetadataValue): string {
  const binary = name.endsWith(BINARY)
  if (typeof value === 'string') {
    if (binary) throw new UsageError('ERR_ARGUMENT', `the value of ${name} must be a Uint8Array`)
    // The value may be a secret: it is not shown.
    if (!/^[\x20-\x7e]*$/.test(value)) {
      const message = `the value of ${name} is no visible ASCII: a name in -bin takes any bytes`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    return value
  }
  if (!binary) {
    throw new UsageError('ERR_ARGUMENT', `the value of ${name} is bytes: its name must end in -bin`)
  }
  return encodeBinaryValue(value)
}

const BINARY = '-bin'

/** What the protocols below own. Everything else is the application's, `user-agent` included. */
const NOT_METADATA: ReadonlySet<string> = new Set([
  'te',
  'content-type',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'host',
  'trailer',
  'upgrade',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-status',
  'grpc-message',
  'grpc-status-details-bin',
])
