/**
 * A value that must not be seen: passwords, tokens, keys, passphrases.
 *
 *     const password = new Secret('hunter2')
 *     `${password}`              // [redacted]
 *     JSON.stringify(password)   // "[redacted]"
 *     util.inspect(password)     // [redacted]
 *     password.reveal()          // hunter2
 *
 * Whatever prints an object by its properties (logs, `inspect`, error reports, JSON, a debugger's
 * dump of options) finds nothing: the value is in a private field, which none of them reads. An
 * option that takes a credential takes `SecretText`, wraps it in its constructor with `secret()`,
 * and calls `reveal` at the one place where the bytes are made.
 */

/** What stands in the place of a secret, everywhere. */
export const REDACTED = '[redacted]'

/** The method's name that Node's `util.inspect` looks for. What holds secrets hides them there. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never

/** A credential as callers may give it. */
export type SecretText = string | Secret<string>

export class Secret<Value = string> {
  readonly #value: Value

  constructor(value: Value) {
    this.#value = value
  }

  /** The value itself. Call it where it is used, and keep the result nowhere. */
  reveal(): Value {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  /** What `util.inspect`, `console.log` and assertion messages of Node show. */
  [INSPECT](): string {
    return REDACTED
  }
}

/** Wraps what is not wrapped yet. */
export function secret(value: SecretText): Secret<string> {
  return value instanceof Secret ? value : new Secret(value)
}

/** The text of a credential, wrapped or not. */
export function reveal(value: SecretText): string {
  return value instanceof Secret ? value.reveal() : value
}

/**
 * The same URL without what it lets in with: user name and password go together, because a token
 * often stands in the place of the name. Also without scheme, as `user:password@host`.
 */
export function redactUrl(url: string): string {
  return url.replace(USER_INFO, `$1${REDACTED}@`)
}

/** Greedy up to the last `@` before the path: a password may hold one that is not encoded. */
const USER_INFO = /^((?:[a-z][a-z0-9+.-]*:\/\/)?)[^/?#]*@/i
