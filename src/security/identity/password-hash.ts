/**
 * Password hashes as text, in the PHC string format, made and checked by Node's own scrypt and
 * argon2id (https://github.com/P-H-C/phc-string-format):
 *
 *     $scrypt$ln=15,r=8,p=1$<salt>$<hash>
 *     $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
 *
 * Both need much memory by design, so what a file may ask for is bounded. Fast hashes (MD5, SHA-1,
 * crypt) are refused: what is stolen with them is guessed in hours. bcrypt is not in Node.
 */
import * as crypto from 'node:crypto'
import { UsageError } from '../../core/errors.ts'
import { reveal, type SecretText } from '../../core/secret.ts'

export interface PasswordHash {
  readonly algorithm: 'scrypt' | 'argon2id'
  readonly salt: Uint8Array
  readonly hash: Uint8Array
  /** Memory in KiB that checking takes, for people. */
  readonly memoryKib: number
  /** scrypt: ln, r, p. argon2id: m, t, p. */
  readonly cost: readonly [number, number, number]
}

export interface HashPasswordOptions {
  /**
   * Base-2 logarithm of scrypt's cost N. 15 takes 32 MiB and some 60 ms.
   *
   * @default 15: between OWASP's choices, for a server that checks many
   */
  costLog2?: number
}

/** A hash for a password file. Each call has a salt of its own. */
export async function hashPassword(
  password: SecretText,
  options: HashPasswordOptions = {},
): Promise<string> {
  const { costLog2 = DEFAULT_COST_LOG2 } = options
  if (!Number.isInteger(costLog2) || costLog2 < MIN_LN || costLog2 > MAX_LN) {
    const message = `costLog2 is ${costLog2}, must be ${MIN_LN} to ${MAX_LN}`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  const salt = crypto.randomBytes(SALT_BYTES)
  const cost = [costLog2, 8, 1] as const
  const hash = await scrypt(encodePassword(reveal(password)), salt, HASH_BYTES, cost)
  return `$scrypt$ln=${costLog2},r=8,p=1$${base64(salt)}$${base64(hash)}`
}

/** @throws UsageError ERR_ARGUMENT, which never shows the hash */
export function parsePasswordHash(text: string): PasswordHash {
  const scryptMatch = SCRYPT.exec(text)
  if (scryptMatch !== null) {
    const [ln, r, p] = numbers(scryptMatch)
    within('scrypt cost ln', ln, MIN_LN, MAX_LN)
    within('scrypt block size r', r, 1, 16)
    within('scrypt parallelization p', p, 1, 8)
    return {
      ...decode(scryptMatch),
      algorithm: 'scrypt',
      cost: [ln, r, p],
      memoryKib: r * 2 ** (ln - 3),
    }
  }
  const argonMatch = ARGON2ID.exec(text)
  if (argonMatch !== null) {
    if (argon2 === undefined) {
      throw new UsageError('ERR_OPTION_UNSUPPORTED', 'argon2id needs Node 24.7 or newer')
    }
    const [m, t, p] = numbers(argonMatch)
    within('argon2id memory m', m, 8, MAX_ARGON_KIB)
    within('argon2id passes t', t, 1, 16)
    within('argon2id parallelism p', p, 1, 8)
    return { ...decode(argonMatch), algorithm: 'argon2id', cost: [m, t, p], memoryKib: m }
  }
  const message = 'a password hash is $scrypt$… or $argon2id$…; make one with hashPassword'
  throw new UsageError('ERR_ARGUMENT', message)
}

/** Takes the same time whether it matches or not. */
export async function verifyPassword(password: string, expected: PasswordHash): Promise<boolean> {
  const { algorithm, salt, hash, cost } = expected
  const message = encodePassword(password)
  const made =
    algorithm === 'scrypt'
      ? await scrypt(message, salt, hash.length, cost)
      : await argon2id(message, salt, hash.length, cost)
  return crypto.timingSafeEqual(made, hash)
}

/** A hash that nothing matches, as dear to check as `like`. */
export function decoyHash(like: PasswordHash | undefined): PasswordHash {
  const { algorithm, cost, memoryKib } = like ?? DEFAULT_DECOY
  return {
    algorithm,
    cost,
    memoryKib,
    salt: crypto.randomBytes(SALT_BYTES),
    hash: crypto.randomBytes(like?.hash.length ?? HASH_BYTES),
  }
}

/** RFC 8265 wants NFC at least: the same characters typed on two systems are the same password. */
function encodePassword(password: string): Buffer {
  return Buffer.from(password.normalize('NFC'), 'utf8')
}

function scrypt(
  password: Buffer,
  salt: Uint8Array,
  length: number,
  [ln, r, p]: readonly [number, number, number],
): Promise<Buffer> {
  const N = 2 ** ln
  // OpenSSL counts a little more than 128·N·r.
  const maxmem = 128 * N * r + 128 * r * p + 1_048_576
  return new Promise((resolve, reject) => {
    crypto.scrypt(password, salt, length, { N, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

function argon2id(
  message: Buffer,
  nonce: Uint8Array,
  tagLength: number,
  [memory, passes, parallelism]: readonly [number, number, number],
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parameters = { message, nonce, tagLength, memory, passes, parallelism }
    argon2?.('argon2id', parameters, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

function numbers(match: RegExpExecArray): readonly [number, number, number] {
  return [Number(match[1]), Number(match[2]), Number(match[3])]
}

function decode(match: RegExpExecArray): Pick<PasswordHash, 'salt' | 'hash'> {
  const salt = Buffer.from(match[4] as string, 'base64')
  const hash = Buffer.from(match[5] as string, 'base64')
  within('bytes of salt', salt.length, 8, 64)
  within('bytes of hash', hash.length, 16, 64)
  return { salt, hash }
}

function within(what: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return
  throw new UsageError(
    'ERR_ARGUMENT',
    `password hash: ${what} is ${value}, must be ${min} to ${max}`,
  )
}

/** PHC strings have no padding. */
function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '')
}

type Argon2 = (
  algorithm: 'argon2id',
  parameters: Readonly<Record<string, unknown>>,
  callback: (error: Error | null, key: Buffer) => void,
) => void

/** Since Node 24.7. */
const argon2 = (crypto as unknown as { argon2?: Argon2 }).argon2

const SCRYPT =
  /^\$scrypt\$ln=(\d{1,3}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{1,128})$/
const ARGON2ID =
  /^\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{1,128})$/
const DEFAULT_COST_LOG2 = 15
/** Below 2^10 it is no work; 2^18 with r=8 takes 256 MiB for one check. */
const MIN_LN = 10
const MAX_LN = 18
const MAX_ARGON_KIB = 262_144
const SALT_BYTES = 16
const HASH_BYTES = 32
const DEFAULT_DECOY = {
  algorithm: 'scrypt',
  cost: [DEFAULT_COST_LOG2, 8, 1],
  memoryKib: 32_768,
} as const
