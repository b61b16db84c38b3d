/**
 * `Host` from the language alone, for browsers, tests and other runtimes: text in plain JavaScript,
 * everything else injected. What was not injected is not there; nothing weaker stands in for it.
 */
import type { Random } from './clock.ts'
import { UsageError } from './errors.ts'
import type { CompressionFactory, DigestFactory, Host } from './host.ts'
import { portableText } from './portable-text.ts'

export interface PortableHostOptions {
  /** For jitter and load balancing; never for secrets. */
  random: Random
  /**
   * Cryptographically strong, as `crypto.getRandomValues`. Without it `randomBytes` is a
   * UsageError: a protocol that needs a nonce must not get a predictable one.
   */
  randomBytes?: (into: Uint8Array) => void
  /** @default none */
  digests?: Readonly<Record<string, DigestFactory>>
  /** @default none */
  compression?: Readonly<Record<string, CompressionFactory>>
}

export function portableHost(options: PortableHostOptions): Host {
  const { random, randomBytes = refuse, digests = NONE, compression = NONE } = options
  return Object.freeze({ text: portableText, random, randomBytes, digests, compression })
}

function refuse(): never {
  throw new UsageError('ERR_OPTION_UNSUPPORTED', 'this host was given no source of randomBytes')
}

const NONE: Readonly<Record<string, never>> = Object.freeze({})
