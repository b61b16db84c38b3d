/**
 * API keys: long random secrets for programs. A key is `<id>.<secret>`: the id finds the entry, the
 * secret's SHA-256 is compared in constant time. A fast hash is right here, as there is nothing to
 * guess in 256 random bits; a stolen store gives no key away.
 *
 *     # id:sha256[:role,role[:name[:expires]]]        expires as 2027-01-31 or an RFC 3339 time
 *     k7Qd2x:9f86d081…:reader:billing:2027-01-31
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { LoginOutcome } from '../../core/access.ts'
import type { Clock } from '../../core/clock.ts'
import { UsageError } from '../../core/errors.ts'
import { Secret } from '../../core/secret.ts'
import { splitRoles } from './password-verifier.ts'

export interface ApiKeyEntry {
  /** The part of the key before the dot. Not secret: it stands in logs. */
  readonly id: string
  /** SHA-256 of the part behind it. */
  readonly sha256: Uint8Array
  readonly roles: readonly string[]
  /** Who it belongs to: the principal's id. @default the key's id */
  readonly name?: string
  /** Milliseconds since the epoch. @default never */
  readonly expiresAt?: number
}

export interface ApiKeyVerifierOptions {
  /** Expiry is a matter of dates, so of the wall clock. */
  clock: Pick<Clock, 'wallNow'>
  keys: readonly ApiKeyEntry[]
}

export class ApiKeyVerifier {
  readonly #clock: Pick<Clock, 'wallNow'>
  readonly #keys: ReadonlyMap<string, ApiKeyEntry>

  constructor(options: ApiKeyVerifierOptions) {
    this.#clock = options.clock
    this.#keys = new Map(options.keys.map((entry) => [entry.id, entry]))
    if (this.#keys.size !== options.keys.length) {
      throw new UsageError('ERR_ARGUMENT', 'two API keys have the same id')
    }
  }

  /** The id of a key as it was given; undefined when it has none. Nothing is proven. */
  static idOf(key: string): string | undefined {
    const dot = key.indexOf('.')
    return dot > 0 && dot <= MAX_ID && key.length <= MAX_KEY ? key.slice(0, dot) : undefined
  }

  verify(key: string): LoginOutcome {
    const id = ApiKeyVerifier.idOf(key)
    if (id === undefined) return { outcome: 'refused', reason: 'not an API key' }
    const entry = this.#keys.get(id)
    const given = sha256(key.slice(id.length + 1))
    // An unknown id is compared as well, with what nothing hashes to.
    const right = timingSafeEqual(given, entry?.sha256 ?? NOTHING)
    if (entry === undefined || !right) {
      return { outcome: 'refused', reason: 'unknown or wrong API key' }
    }
    const { roles, name = id, expiresAt } = entry
    if (expiresAt !== undefined && this.#clock.wallNow() >= expiresAt) {
      return { outcome: 'refused', reason: 'the API key has expired' }
    }
    return {
      outcome: 'accepted',
      principal: { id: name, method: 'api-key', roles, attributes: { key_id: id } },
    }
  }
}

/** A new key: `key` for its user, once; `line` for the file. */
export function generateApiKey(options: { roles?: readonly string[]; name?: string } = {}): {
  readonly key: Secret
  readonly line: string
  readonly entry: ApiKeyEntry
} {
  const { roles = [], name } = options
  const id = randomBytes(6).toString('base64url')
  const text = randomBytes(32).toString('base64url')
  const hash = sha256(text)
  const parts = [id, hash.toString('hex'), roles.join(',')]
  if (name !== undefined) parts.push(name)
  const entry = { id, sha256: hash, roles, ...(name !== undefined && { name }) }
  return { key: new Secret(`${id}.${text}`), line: parts.join(':'), entry }
}

/** @throws UsageError ERR_ARGUMENT with the line's number */
export function parseApiKeyFile(text: string): ApiKeyEntry[] {
  const entries: ApiKeyEntry[] = []
  const ids = new Set<string>()
  text.split('\n').forEach((raw, index) => {
    const line = raw.replace(/\r$/, '')
    if (line.trim() === '' || line.startsWith('#')) return
    const match = LINE.exec(line)
    const where = `API key file, line ${index + 1}`
    if (match === null) {
      throw bad(`${where}: is not id:sha256[:roles[:name[:expires]]]`)
    }
    const [, id = '', hash = '', roles = '', name = '', expires = ''] = match
    if (ids.has(id)) throw bad(`${where}: ${id} is there twice`)
    ids.add(id)
    const expiresAt = expires === '' ? undefined : Date.parse(expires)
    if (Number.isNaN(expiresAt)) throw bad(`${where}: '${expires}' is not a date`)
    entries.push({
      id,
      sha256: Buffer.from(hash, 'hex'),
      roles: splitRoles(roles),
      ...(name !== '' && { name }),
      ...(expiresAt !== undefined && { expiresAt }),
    })
  })
  return entries
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}

function bad(message: string): UsageError {
  return new UsageError('ERR_ARGUMENT', message)
}

const LINE =
  /^([A-Za-z0-9_-]{1,64}):([0-9a-f]{64})(?::([^:]{0,1024})(?::([^:]{0,256})(?::(\d{4}-[0-9T:.Z+-]{1,32}))?)?)?$/
const MAX_ID = 64
const MAX_KEY = 512
const NOTHING = randomBytes(32)
