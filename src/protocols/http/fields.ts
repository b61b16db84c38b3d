/**
 * HTTP fields (headers and trailers, RFC 9110 section 5): ordered, names matched without case.
 *
 * A received block is kept as the one string it arrived in, with an index of offsets; a field is
 * sliced out when somebody asks. Only a change turns it into a list.
 *
 *     "Host: a.example\r\nAccept: *\/*"     offsets: nameStart, nameEnd, valueStart, valueEnd, …
 */
import { UsageError } from '../../core/errors.ts'
import { INSPECT, REDACTED } from '../../core/secret.ts'
import { isSecretField } from './secret-fields.ts'

export type FieldsInit =
  | HttpFields
  | Readonly<Record<string, string | readonly string[]>>
  | Iterable<readonly [string, string]>

export class HttpFields implements Iterable<[string, string]> {
  #block: string
  #offsets: readonly number[] | undefined
  /** name, value, name, value … once the block is not enough. */
  #list: string[] | undefined
  /** The list is others' too: a change makes a copy first. */
  #isShared = false

  /** @throws UsageError ERR_ARGUMENT for a name or value that could not be sent */
  constructor(init?: FieldsInit) {
    this.#block = ''
    if (init === undefined) return
    if (init instanceof HttpFields) {
      this.#block = init.#block
      this.#offsets = init.#offsets
      this.#list = init.#list?.slice()
      return
    }
    const entries = Symbol.iterator in init ? init : Object.entries(init)
    for (const [name, value] of entries) {
      if (typeof value === 'string') this.append(name, value)
      else for (const one of value) this.append(name, one)
    }
  }

  /** A received block whose syntax the decoder has checked. `offsets` is not copied. */
  static fromBlock(block: string, offsets: readonly number[]): HttpFields {
    const fields = new HttpFields()
    fields.#block = block
    fields.#offsets = offsets
    return fields
  }

  /** name, value, name, value …; checked already. The list is not copied. */
  static fromTrusted(list: string[]): HttpFields {
    const fields = new HttpFields()
    fields.#list = list
    return fields
  }

  /** As `fromTrusted`, of a list that nobody may change: it is copied when these fields change. */
  static fromShared(list: readonly string[]): HttpFields {
    const fields = new HttpFields()
    fields.#list = list as string[]
    fields.#isShared = true
    return fields
  }

  /** name, value, name, value … where it is kept that way; not a copy. For encoders. */
  get list(): readonly string[] | undefined {
    return this.#list
  }

  get size(): number {
    return this.#list === undefined ? (this.#offsets?.length ?? 0) / 4 : this.#list.length / 2
  }

  /**
   * All values of a name, joined with a comma as RFC 9110 5.3 allows; `set-cookie` cannot be joined
   * and gives its first. `name` in lower case.
   */
  get(name: string): string | undefined {
    let found: string | undefined
    for (let index = this.#find(name, 0); index >= 0; index = this.#find(name, index + 1)) {
      const value = this.valueAt(index)
      if (found === undefined) {
        found = value
        if (name === 'set-cookie') return found
      } else found += `, ${value}`
    }
    return found
  }

  getAll(name: string): string[] {
    const values: string[] = []
    for (let index = this.#find(name, 0); index >= 0; index = this.#find(name, index + 1)) {
      values.push(this.valueAt(index))
    }
    return values
  }

  has(name: string): boolean {
    return this.#find(name, 0) >= 0
  }

  /** Whether a comma-separated list field holds `token` (lower case), as `Connection: close`. */
  hasToken(name: string, token: string): boolean {
    for (let index = this.#find(name, 0); index >= 0; index = this.#find(name, index + 1)) {
      if (listHasToken(this.valueAt(index), token)) return true
    }
    return false
  }

  /** As it is printed: values of fields that carry credentials are replaced. */
  toJSON(): Record<string, string | string[]> {
    const shown: Record<string, string | string[]> = {}
    for (const [name, value] of this) {
      const text = isSecretField(name) ? REDACTED : value
      const before = shown[name]
      shown[name] = before === undefined ? text : [before, text].flat()
    }
    return shown
  }

  [INSPECT](): unknown {
    return this.toJSON()
  }

  append(name: string, value: string): this {
    checkName(name)
    checkValue(name, value)
    this.#toList().push(name, value)
    return this
  }

  /** Replaces every field of that name; the first one's place is kept. */
  set(name: string, value: string): this {
    checkName(name)
    checkValue(name, value)
    const list = this.#toList()
    const lower = name.toLowerCase()
    const at = this.#find(lower, 0)
    if (at < 0) {
      list.push(name, value)
      return this
    }
    list[at * 2 + 1] = value
    this.#removeFrom(lower, at + 1)
    return this
  }

  delete(name: string): boolean {
    const lower = name.toLowerCase()
    if (this.#find(lower, 0) < 0) return false
    this.#toList()
    this.#removeFrom(lower, 0)
    return true
  }

  *[Symbol.iterator](): Iterator<[string, string]> {
    for (let index = 0; index < this.size; index++) yield [this.nameAt(index), this.valueAt(index)]
  }

  /** Names as they were written. Faster than iterating. */
  forEach(callback: (name: string, value: string) => void): void {
    for (let index = 0; index < this.size; index++)
      callback(this.nameAt(index), this.valueAt(index))
  }

  /** Name of the field at a position below `size`, as it was written. For encoders. */
  nameAt(index: number): string {
    if (this.#list !== undefined) return this.#list[index * 2] as string
    const offsets = this.#offsets as readonly number[]
    return this.#block.slice(offsets[index * 4], offsets[index * 4 + 1])
  }

  valueAt(index: number): string {
    if (this.#list !== undefined) return this.#list[index * 2 + 1] as string
    const offsets = this.#offsets as readonly number[]
    return this.#block.slice(offsets[index * 4 + 2], offsets[index * 4 + 3])
  }

  /** name, value, name, value …; a copy. */
  toFlat(): string[] {
    return this.#list === undefined ? this.#toList().slice() : this.#list.slice()
  }

  #find(lower: string, from: number): number {
    const list = this.#list
    if (list !== undefined) {
      for (let index = from; index * 2 < list.length; index++) {
        const name = list[index * 2] as string
        if (name.length !== lower.length) continue
        if (name === lower || equalsIgnoreCase(name, 0, lower.length, lower)) return index
      }
      return -1
    }
    const offsets = this.#offsets
    if (offsets === undefined) return -1
    for (let at = from * 4; at < offsets.length; at += 4) {
      const start = offsets[at] as number
      const length = (offsets[at + 1] as number) - start
      if (length === lower.length && equalsIgnoreCase(this.#block, start, length, lower)) {
        return at / 4
      }
    }
    return -1
  }

  /** That may be changed. */
  #toList(): string[] {
    if (this.#list !== undefined) {
      if (!this.#isShared) return this.#list
      this.#isShared = false
      this.#list = this.#list.slice()
      return this.#list
    }
    const list: string[] = []
    for (let index = 0; index < this.size; index++)
      list.push(this.nameAt(index), this.valueAt(index))
    this.#list = list
    this.#offsets = undefined
    this.#block = ''
    return list
  }

  #removeFrom(lower: string, from: number): void {
    const list = this.#toList()
    let kept = from * 2
    for (let at = kept; at < list.length; at += 2) {
      const name = list[at] as string
      if (name.length === lower.length && equalsIgnoreCase(name, 0, name.length, lower)) continue
      list[kept++] = name
      list[kept++] = list[at + 1] as string
    }
    list.length = kept
  }
}

/** Compares `text[start, start+length)` with a lower-case name. */
function equalsIgnoreCase(text: string, start: number, length: number, lower: string): boolean {
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(start + index)
    const folded = unit >= 0x41 && unit <= 0x5a ? unit | 0x20 : unit
    if (folded !== lower.charCodeAt(index)) return false
  }
  return true
}

/**
 * Whether a list such as `keep-alive, Upgrade` holds a token (lower case). Only space and tab
 * surround elements (RFC 9110 5.6.3): `String.trim` would also take a no-break space away.
 */
export function listHasToken(list: string, token: string): boolean {
  if (list === token) return true
  let start = 0
  while (start + token.length <= list.length) {
    let end = list.indexOf(',', start)
    if (end < 0) end = list.length
    const next = end + 1
    while (start < end && isBlank(list.charCodeAt(start))) start++
    while (end > start && isBlank(list.charCodeAt(end - 1))) end--
    if (end - start === token.length && equalsIgnoreCase(list, start, token.length, token))
      return true
    start = next
  }
  return false
}

/** Elements of a list, lower case, without the space and tab around them; empty ones are kept. */
export function listElements(list: string): string[] {
  return list.split(',').map((element) => trimBlanks(element).toLowerCase())
}

/** Without space and tab at both ends; linear, which a regular expression with `$` would not be. */
export function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09
}

/** token, RFC 9110 5.6.2. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7e || TOKEN[unit] === 0) return false
  }
  return true
}

/** Whether text may stand as a field value: no control character but tab, nothing above U+00FF. */
export function isFieldValue(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if ((unit < 0x20 && unit !== 0x09) || unit === 0x7f || unit > 0xff) return false
  }
  return true
}

function checkName(name: string): void {
  if (isToken(name)) return
  throw new UsageError('ERR_ARGUMENT', `field name ${JSON.stringify(name)} is not a token`)
}

function checkValue(name: string, value: string): void {
  if (isFieldValue(value)) return
  // The value may be a secret: it is not shown.
  throw new UsageError(
    'ERR_ARGUMENT',
    `value of field ${name} holds a character that cannot be sent`,
  )
}

/** 1 for every byte that may stand in a token. */
export const TOKEN: Readonly<Uint8Array> = /* @__PURE__ */ (() => {
  const table = new Uint8Array(256)
  for (const char of "!#$%&'*+-.^_`|~0123456789") table[char.charCodeAt(0)] = 1
  for (let letter = 0; letter < 26; letter++) {
    table[0x41 + letter] = 1
    table[0x61 + letter] = 1
  }
  return table
})()
