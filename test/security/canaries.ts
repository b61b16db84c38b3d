/**
 * Secrets that can be recognised wherever they turn up, in every form in which they travel.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'

export class Canaries {
  readonly #forms = new Map<string, string>()
  readonly #leaks = new Set<string>()
  #looked = 0

  /** A secret of that name; 40 characters that nothing else has. */
  make(name: string): string {
    const secret = `cnry${name}${randomBytes(24).toString('hex')}`.slice(0, 56)
    this.add(name, secret)
    return secret
  }

  /** Something that is secret already: a key in PEM. Each of its lines counts. */
  add(name: string, secret: string): string {
    for (const line of secret.split('\n')) {
      if (line.length < 16 || line.startsWith('-----')) continue
      this.#forms.set(encodeURIComponent(line), `${name}, percent-encoded`)
      this.#forms.set(line, name)
      // In base64 a text looks different at each of three places.
      for (const before of ['', 'x', 'xx']) {
        const inner = Buffer.from(`${before}${line}`).toString('base64').slice(4, -4)
        this.#forms.set(inner, `${name}, in base64`)
      }
      this.#forms.set(Buffer.from(line).toString('hex'), `${name}, in hex`)
    }
    return secret
  }

  /** Looks for every form of every secret in whatever it is given, as text and as object. */
  look(where: string, ...values: readonly unknown[]): void {
    for (const value of values) {
      this.#looked++
      const text = typeof value === 'string' ? value : shown(value)
      for (const [form, name] of this.#forms) {
        if (text.includes(form)) this.#leaks.add(`${where}: ${name}`)
      }
    }
  }

  /** Fails with all leaks, or when hardly anything was looked at. */
  verdict(atLeast: number): void {
    assert.deepEqual([...this.#leaks], [])
    assert.ok(this.#looked >= atLeast, `looked at ${this.#looked} things only`)
  }
}

/** As a log, an error report, a debugger or a developer would print it. */
function shown(value: unknown): string {
  const parts = [
    inspect(value, {
      depth: 8,
      showHidden: true,
      getters: true,
      maxStringLength: null,
      maxArrayLength: 500,
    }),
    String(value),
  ]
  try {
    parts.push(JSON.stringify(value) ?? '')
  } catch {
    // Circular: inspect has shown it.
  }
  for (let error: unknown = value; error instanceof Error; error = error.cause) {
    parts.push(error.message, error.stack ?? '')
    if (error instanceof AggregateError) parts.push(...error.errors.map(shown))
  }
  return parts.join('\n')
}
