/**
 * Metadata as users of `@grpc/grpc-js` know it: names in lower case, values as text, or as bytes where
 * the name ends in `-bin`.
 *
 * Anything that looks like it is taken for it: metadata that another copy of grpc-js made has `getMap`
 * and `get` as well.
 */
import { UsageError } from '../../core/errors.ts'
import { GrpcMetadata } from './call-metadata.ts'

/** Received bytes are a `Buffer` where that is what the platform has. */
export type JsMetadataValue = string | Uint8Array

export interface JsMetadataOptions {
  idempotentRequest?: boolean
  waitForReady?: boolean
  cacheableRequest?: boolean
  corked?: boolean
}

/** What is asked of metadata that somebody else made. */
export interface JsMetadataLike {
  getMap(): Record<string, JsMetadataValue>
  get(key: string): JsMetadataValue[]
  getOptions?(): JsMetadataOptions
}

export class Metadata implements JsMetadataLike {
  readonly #values = new Map<string, JsMetadataValue[]>()
  #options: JsMetadataOptions

  constructor(options: JsMetadataOptions = {}) {
    this.#options = options
  }

  /** @param toBytes how bytes are handed out */
  static fromGrpc(
    metadata: GrpcMetadata | undefined,
    toBytes: (bytes: Uint8Array) => Uint8Array,
  ): Metadata {
    const made = new Metadata()
    if (metadata === undefined) return made
    for (const [name, value] of metadata) {
      made.#add(name, typeof value === 'string' ? value : toBytes(value))
    }
    return made
  }

  /** @throws UsageError ERR_ARGUMENT for a value that does not fit its name */
  set(key: string, value: JsMetadataValue): void {
    this.#values.set(checked(key, value), [value])
  }

  add(key: string, value: JsMetadataValue): void {
    this.#add(checked(key, value), value)
  }

  remove(key: string): void {
    this.#values.delete(key.toLowerCase())
  }

  get(key: string): JsMetadataValue[] {
    return this.#values.get(key.toLowerCase())?.slice() ?? []
  }

  /** The first value of each name. */
  getMap(): Record<string, JsMetadataValue> {
    const map: Record<string, JsMetadataValue> = {}
    for (const [name, [first]] of this.#values) if (first !== undefined) map[name] = first
    return map
  }

  clone(): Metadata {
    const copy = new Metadata({ ...this.#options })
    for (const [name, values] of this.#values) copy.#values.set(name, values.slice())
    return copy
  }

  merge(other: JsMetadataLike): void {
    for (const name of Object.keys(other.getMap())) {
      for (const value of other.get(name)) this.#add(name, value)
    }
  }

  setOptions(options: JsMetadataOptions): void {
    this.#options = options
  }

  getOptions(): JsMetadataOptions {
    return this.#options
  }

  toJSON(): Record<string, JsMetadataValue[]> {
    return Object.fromEntries(this.#values)
  }

  #add(name: string, value: JsMetadataValue): void {
    const values = this.#values.get(name)
    if (values === undefined) this.#values.set(name, [value])
    else values.push(value)
  }
}

/** @throws UsageError ERR_ARGUMENT for what cannot be sent */
export function toGrpcMetadata(metadata: JsMetadataLike | undefined): GrpcMetadata {
  const made = new GrpcMetadata()
  if (metadata === undefined) return made
  for (const name of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(name)) made.append(name, value)
  }
  return made
}

export function isMetadata(value: unknown): value is JsMetadataLike {
  return typeof value === 'object' && value !== null && 'getMap' in value && 'get' in value
}

function checked(key: string, value: JsMetadataValue): string {
  const name = key.toLowerCase()
  if (name.endsWith('-bin') === (typeof value === 'string')) {
    const wanted = typeof value === 'string' ? 'bytes: a Buffer' : 'a string'
    throw new UsageError('ERR_ARGUMENT', `the value of metadata ${name} must be ${wanted}`)
  }
  return name
}
