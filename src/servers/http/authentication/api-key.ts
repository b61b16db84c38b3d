/**
 * API keys in a field of the head, or in the query where a caller can send no fields.
 *
 *     apiKey({ keys: readFileSync('keys.txt', 'utf8') })       // x-api-key: <id>.<secret>
 */
import { MAX_LOGIN_NAME } from '../../../core/access.ts'
import type { Clock } from '../../../core/clock.ts'
import { UsageError } from '../../../core/errors.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import { formatChallenge, withoutField, withTarget } from '../../../protocols/http/credentials.ts'
import { isToken } from '../../../protocols/http/fields.ts'
import type { HttpRequest } from '../../../protocols/http/messages.ts'
import {
  type ApiKeyEntry,
  ApiKeyVerifier,
  parseApiKeyFile,
} from '../../../security/identity/api-keys.ts'
import { type HttpAuthenticator, refusedAttempt } from './authorization-field.ts'

export interface ApiKeyOptions {
  /** The text of a key file, or its entries. */
  keys: string | readonly ApiKeyEntry[]
  /** The field that holds the key. @default 'x-api-key' */
  header?: string
  /**
   * A parameter of the query that may hold it instead. Queries end in logs, histories and Referer
   * fields, so only where nothing else is possible; it is cut out before the service sees it.
   *
   * @default none
   */
  query?: string
  /** @default 'heddle' */
  realm?: string
  /** @default the system clock */
  clock?: Pick<Clock, 'wallNow'>
}

/** @throws UsageError ERR_ARGUMENT for a key file that is wrong, with the line */
export function apiKey(options: ApiKeyOptions): HttpAuthenticator {
  const { keys, header = 'x-api-key', query, realm = 'heddle', clock = systemClock } = options
  if (!isToken(header)) throw new UsageError('ERR_ARGUMENT', `header '${header}' is not a token`)
  const field = header.toLowerCase()
  const verifier = new ApiKeyVerifier({
    clock,
    keys: typeof keys === 'string' ? parseApiKeyFile(keys) : keys,
  })
  // No scheme is registered for keys; this says what is missing to whoever reads it.
  const challenge = formatChallenge('ApiKey', { realm, header: field })
  return {
    method: 'api-key',
    challenge: () => challenge,
    strip: (request) => {
      const bare = withoutField(request, field)
      if (query === undefined) return bare
      const target = withoutParameter(bare.target, query)
      return target === bare.target ? bare : withTarget(bare, target)
    },
    read: (request) => {
      const found = keysIn(request, field, query)
      if (found.length === 0) return undefined
      if (found.length > 1) return refusedAttempt('there is more than one API key')
      const key = found[0] as string
      const name = ApiKeyVerifier.idOf(key)?.slice(0, MAX_LOGIN_NAME)
      return { name, verify: () => verifier.verify(key) }
    },
  }
}

function keysIn(request: HttpRequest, field: string, query: string | undefined): string[] {
  const keys = request.fields.getAll(field)
  if (query === undefined) return keys
  for (const [, value] of parametersOf(request.target, query)) keys.push(value)
  return keys
}

/** The parameters of that name, as they stand in the target and decoded. */
function parametersOf(target: string, name: string): [raw: string, value: string][] {
  const start = target.indexOf('?')
  if (start < 0) return []
  const found: [string, string][] = []
  for (const part of target.slice(start + 1).split('&')) {
    const equals = part.indexOf('=')
    const key = equals < 0 ? part : part.slice(0, equals)
    if (decode(key) === name) found.push([part, decode(equals < 0 ? '' : part.slice(equals + 1))])
  }
  return found
}

/** Everything else in the query keeps its order and its spelling. */
function withoutParameter(target: string, name: string): string {
  const found = new Set(parametersOf(target, name).map(([raw]) => raw))
  if (found.size === 0) return target
  const start = target.indexOf('?')
  const rest = target
    .slice(start + 1)
    .split('&')
    .filter((part) => !found.has(part))
  return rest.length === 0 ? target.slice(0, start) : `${target.slice(0, start)}?${rest.join('&')}`
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
