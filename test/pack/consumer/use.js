// Plain JavaScript in a project that installed the package: every subpath given loads, and errors
// from two of them are the same classes.
import assert from 'node:assert/strict'
import { ClosedError, HeddleError, UsageError } from 'heddle/core'

const subpaths = process.argv.slice(2)
for (const subpath of subpaths) {
  const module = await import(subpath)
  assert.ok(Object.keys(module).length > 0, `${subpath} exports nothing`)
}

const error = new UsageError('ERR_ARGUMENT', 'an example')
assert.ok(error instanceof HeddleError && error instanceof Error)
assert.ok(!(error instanceof ClosedError))
assert.equal(error.code, 'ERR_ARGUMENT')
console.log(`used ${subpaths.length} subpaths`)
