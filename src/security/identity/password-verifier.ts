/**
 * Checks names and passwords against stored hashes, or asks a function of yours.
 *
 * - An unknown name costs as much as a wrong password: it is checked against a decoy.
 * - A hash costs memory and tens of milliseconds, by design, and Basic sends the password with every
 *   request. So what was right is remembered for a minute, as a keyed digest, never as text.
 * - Checks at a time are bounded, and those that wait too: a flood of logins is refused, not queued.
 *
 * The file has a line for each user, roles are optional:
 *
 *     # name:hash[:role,role]
 *     alice:$scrypt$ln=15,r=8,p=1$…$…:admin,reader
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { LoginOutcome } from '../../core/access.ts'
import type { Clock } from '../../core/clock.ts'
import { checkInteger, checkRange, OverloadError, UsageError } from '../../core/errors.ts'
import type { Principal } from '../../core/principal.ts'
import type { MaybePromise } from '../../core/service.ts'
import { decoyHash, type PasswordHash, parsePasswordHash, verifyPassword } from './password-hash.ts'

export interface PasswordUser {
  readonly name: string
  readonly hash: PasswordHash
  readonly roles: readonly string[]
}

/** Says whether the password is right; undefined: it is not, or there is no such user. */
export type PasswordCheck = (
  name: string,
  password: string,
) => MaybePromise<Pick<Principal, 'roles'> | undefined>

export interface PasswordVerifierOptions {
  clock: Pick<Clock, 'now'>
  /** Users with their hashes, or a function that checks. */
  users: readonly PasswordUser[] | PasswordCheck
  /**
   * How long a password that was right needs no new check, in milliseconds; 0: each is checked.
   * A user who is taken away with a reload is forgotten at once, as the verifier is made anew.
   *
   * @default 60_000
   */
  rememberMs?: number
  /** Most that are remembered; the oldest goes first. @default 1_000 */
  maxRemembered?: number
  /**
   * Checks at a time. Each takes the memory its hash asks for, and a thread of libuv's pool of 4.
   *
   * @default 2: half of the pool, so that DNS and files go on
   */
  maxConcurrent?: number
  /** Checks that wait for one of those; more are refused with ERR_LIMITED. @default 64 */
  maxWaiting?: number
  /** Longest password, in characters: hashing a long one costs. @default 1_024 */
  maxPasswordLength?: number
  /** @default 'basic' */
  method?: string
}

export const passwordVerifierDefaults: Readonly<{
  rememberMs: number
  maxRemembered: number
  maxConcurrent: number
  maxWaiting: number
  maxPasswordLength: number
}> = Object.freeze({
  rememberMs: 60_000,
  maxRemembered: 1_000,
  maxConcurrent: 2,
  maxWaiting: 64,
  maxPasswordLength: 1_024,
})

interface Remembered {
  readonly principal: Principal
  readonly until: number
}

export class PasswordVerifier {
  readonly #options: Required<PasswordVerifierOptions>
  readonly #users: ReadonlyMap<string, PasswordUser> | undefined
  readonly #decoy: PasswordHash
  /** By digest, oldest first. */
  readonly #remembered = new Map<string, Remembered>()
  /** Of this process: a digest is of no use to whoever reads its memory later. */
  readonly #key = randomBytes(32)
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(options: PasswordVerifierOptions) {
    const given = { method: 'basic', ...passwordVerifierDefaults, ...options }
    checkRange('rememberMs', given.rememberMs, 0, Number.POSITIVE_INFINITY)
    checkInteger('maxRemembered', given.maxRemembered, 1, MAX_COUNT)
    checkInteger('maxConcurrent', given.maxConcurrent, 1, 1_024)
    checkInteger('maxWaiting', given.maxWaiting, 0, MAX_COUNT)
    checkInteger('maxPasswordLength', given.maxPasswordLength, 1, 65_536)
    this.#options = given
    const { users } = given
    this.#users = typeof users === 'function' ? undefined : byName(users)
    const dearest = typeof users === 'function' ? undefined : mostExpensive(users)
    this.#decoy = decoyHash(dearest)
  }

  /** @throws OverloadError ERR_LIMITED when too many checks are under way */
  verify(name: string, password: string): MaybePromise<LoginOutcome> {
    if (password.length > this.#options.maxPasswordLength) {
      return { outcome: 'refused', reason: 'the password is too long' }
    }
    const digest = this.#digest(name, password)
    const known = this.#recall(digest)
    if (known !== undefined) return { outcome: 'accepted', principal: known }
    return this.#check(name, password, digest)
  }

  async #check(name: string, password: string, digest: string): Promise<LoginOutcome> {
    await this.#enter()
    let roles: readonly string[] | undefined
    try {
      roles = await this.#rolesOf(name, password)
    } finally {
      this.#leave()
    }
    if (roles === undefined) return WRONG
    const { method } = this.#options
    const principal = Object.freeze({ id: name, method, roles, attributes: NO_ATTRIBUTES })
    this.#remember(digest, principal)
    return { outcome: 'accepted', principal }
  }

  /** Undefined: wrong. */
  async #rolesOf(name: string, password: string): Promise<readonly string[] | undefined> {
    const { users } = this.#options
    if (typeof users === 'function') return (await users(name, password))?.roles
    const user = this.#users?.get(name)
    const right = await verifyPassword(password, user?.hash ?? this.#decoy)
    return right ? user?.roles : undefined
  }

  #enter(): Promise<void> | undefined {
    const { maxConcurrent, maxWaiting } = this.#options
    if (this.#running < maxConcurrent) {
      this.#running++
      return undefined
    }
    if (this.#waiting.length >= maxWaiting) {
      const message = `${this.#waiting.length} password checks wait, maxWaiting ${maxWaiting}`
      throw new OverloadError('ERR_LIMITED', message)
    }
    return new Promise((resolve) => void this.#waiting.push(resolve))
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }

  #digest(name: string, password: string): string {
    // The length keeps `ab` with `c` apart from `a` with `bc`.
    const text = `${name.length}:${name}${password}`
    return createHmac('sha256', this.#key).update(text).digest('base64')
  }

  #recall(digest: string): Principal | undefined {
    const found = this.#remembered.get(digest)
    if (found === undefined) return undefined
    if (this.#options.clock.now() < found.until) return found.principal
    this.#remembered.delete(digest)
    return undefined
  }

  #remember(digest: string, principal: Principal): void {
    const { rememberMs, maxRemembered, clock } = this.#options
    if (rememberMs === 0) return
    this.#remembered.delete(digest)
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size < maxRemembered) break
      this.#remembered.delete(oldest)
    }
    this.#remembered.set(digest, { principal, until: clock.now() + rememberMs })
  }
}

/** @throws UsageError ERR_ARGUMENT with the line's number; hashes are never shown */
export function parsePasswordFile(text: string): PasswordUser[] {
  const users: PasswordUser[] = []
  const names = new Set<string>()
  text.split('\n').forEach((raw, index) => {
    const line = raw.replace(/\r$/, '')
    if (line.trim() === '' || line.startsWith('#')) return
    const [name = '', hash = '', roles = '', ...more] = line.split(':')
    const where = `password file, line ${index + 1}`
    if (name === '' || hash === '' || more.length > 0)
      throw bad(`${where}: is not name:hash[:roles]`)
    if (names.has(name)) throw bad(`${where}: ${name} is there twice`)
    names.add(name)
    users.push({ name, hash: at(where, () => parsePasswordHash(hash)), roles: splitRoles(roles) })
  })
  return users
}

/** Names with commas between them. */
export function splitRoles(text: string): readonly string[] {
  const roles = text.split(',').map((role) => role.trim())
  return Object.freeze(roles.filter((role) => role !== ''))
}

/** Whether two texts are the same, in a time that tells only their length. */
export function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a, 'utf8')
  const right = Buffer.from(b, 'utf8')
  return left.length === right.length && timingSafeEqual(left, right)
}

function at<Value>(where: string, parse: () => Value): Value {
  try {
    return parse()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError('ERR_ARGUMENT', `${where}: ${reason}`, { cause: error })
  }
}

function bad(message: string): UsageError {
  return new UsageError('ERR_ARGUMENT', message)
}

function byName(users: readonly PasswordUser[]): ReadonlyMap<string, PasswordUser> {
  return new Map(users.map((user) => [user.name, user]))
}

/** Unknown names take the time of the dearest: of the cheapest they would stand out. */
function mostExpensive(users: readonly PasswordUser[]): PasswordHash | undefined {
  let dearest: PasswordHash | undefined
  for (const { hash } of users) {
    if (dearest === undefined || hash.memoryKib > dearest.memoryKib) dearest = hash
  }
  return dearest
}

const WRONG: LoginOutcome = Object.freeze({
  outcome: 'refused',
  reason: 'unknown name or wrong password',
})
const NO_ATTRIBUTES = Object.freeze({})
const MAX_COUNT = 0x7fff_ffff
