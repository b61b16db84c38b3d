/**
 * What a kit needs of a test runner, so that it runs under any: `node:test`, vitest, jest, mocha.
 *
 *     import assert from 'node:assert/strict'
 *     import { test } from 'node:test'
 *
 *     decoderConformance('my decoder', subject, { test, ok: assert.ok, skip: test.skip })
 */
export interface Harness {
  /** Registers a test, or runs it at once. */
  test(name: string, body: () => void | Promise<void>): unknown
  /** Throws `message` unless `value` is truthy. */
  ok(value: unknown, message?: string): void
  /** Registers a test that cannot hold here. Without it such tests are left out. */
  skip?(name: string): unknown
}

/** What one test of a kit came to. */
export interface KitResult {
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly error?: unknown
}

/**
 * A harness that collects instead of reporting: for runs without a runner, and for the tests of the
 * kits themselves, where a kit must fail.
 */
export class CollectingHarness implements Harness {
  readonly #tests: { readonly name: string; readonly body: () => void | Promise<void> }[] = []
  readonly #skipped: string[] = []

  // Arrow functions: kits take the members apart.
  readonly test = (name: string, body: () => void | Promise<void>): void => {
    this.#tests.push({ name, body })
  }

  readonly ok = (value: unknown, message?: string): void => {
    if (!value) throw new Error(message ?? 'expected a truthy value')
  }

  readonly skip = (name: string): void => {
    this.#skipped.push(name)
  }

  /** Runs what was registered, one after the other, to the end. @param only by name */
  async run(only?: RegExp): Promise<readonly KitResult[]> {
    const results: KitResult[] = this.#skipped.map((name) => ({ name, outcome: 'skipped' }))
    for (const { name, body } of this.#tests) {
      if (only !== undefined && !only.test(name)) continue
      try {
        await body()
        results.push({ name, outcome: 'passed' })
      } catch (error) {
        results.push({ name, outcome: 'failed', error })
      }
    }
    return results
  }

  /** One line for each test that fails: its name and the error's message. */
  async failures(only?: RegExp): Promise<readonly string[]> {
    const results = await this.run(only)
    return results.flatMap(({ name, outcome, error }) => {
      if (outcome !== 'failed') return []
      return [`${name}: ${error instanceof Error ? error.message : String(error)}`]
    })
  }
}
