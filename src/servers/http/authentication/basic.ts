/**
 * Basic authentication (RFC 7617): a name and a password with every request, so over TLS only.
 *
 *     httpServer(service, { authentication: authenticate([basic({ users })]) })
 */
import { MAX_LOGIN_NAME } from '../../../core/access.ts'
import type { Clock } from '../../../core/clock.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import { formatChallenge, isToken68 } from '../../../protocols/http/credentials.ts'
import {
  type PasswordCheck,
  type PasswordUser,
  PasswordVerifier,
  type PasswordVerifierOptions,
  parsePasswordFile,
} from '../../../security/identity/password-verifier.ts'
import {
  type HttpAuthenticator,
  refusedAttempt,
  schemeAuthenticator,
} from './authorization-field.ts'

export interface BasicOptions extends Omit<PasswordVerifierOptions, 'clock' | 'users' | 'method'> {
  /** The text of a password file, its users, or a function that checks. */
  users: string | readonly PasswordUser[] | PasswordCheck
  /** What the user is asked the password for. @default 'heddle' */
  realm?: string
  /** @default the system clock */
  clock?: Pick<Clock, 'now'>
}

/** @throws UsageError ERR_ARGUMENT for a password file that is wrong, with the line */
export function basic(options: BasicOptions): HttpAuthenticator {
  const { users, realm = 'heddle', clock = systemClock, ...rest } = options
  const verifier = new PasswordVerifier({
    ...rest,
    clock,
    users: typeof users === 'string' ? parsePasswordFile(users) : users,
  })
  const challenge = formatChallenge('Basic', { realm, charset: 'UTF-8' })
  return schemeAuthenticator({
    method: 'basic',
    scheme: 'basic',
    challenge: () => challenge,
    attempt: (token) => {
      const pair = decodeBasic(token)
      if (pair === undefined) return refusedAttempt('not a name and a password in base64')
      const [name, password] = pair
      return {
        name: name.slice(0, MAX_LOGIN_NAME),
        verify: () => verifier.verify(name, password),
      }
    },
  })
}

/**
 * Strict: base64 with nothing in it that a lenient decoder would skip, UTF-8 that is valid, a colon,
 * and no control character (RFC 7617 section 2). Undefined for anything else.
 */
export function decodeBasic(token: string): readonly [name: string, password: string] | undefined {
  if (!isToken68(token)) return undefined
  const bytes = Buffer.from(token, 'base64')
  const canonical = bytes.toString('base64').replace(/=+$/, '')
  if (canonical !== token.replace(/=+$/, '')) return undefined
  let text: string
  try {
    text = UTF8.decode(bytes)
  } catch {
    return undefined
  }
  const colon = text.indexOf(':')
  if (colon < 0 || hasControl(text)) return undefined
  return [text.slice(0, colon), text.slice(colon + 1)]
}

function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) return true
  }
  return false
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
