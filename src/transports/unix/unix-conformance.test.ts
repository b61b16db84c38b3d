import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { realFixture } from '../../../test/transports/real-fixture.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { unix } from './unix.ts'

for (const engine of ['handle', 'net'] as const) {
  transportConformance(
    `unix (${engine})`,
    {
      traits: { halfClose: true, secure: false, messageBoundaries: false },
      create() {
        const directory = mkdtempSync(join(tmpdir(), 'heddle-kit-'))
        return realFixture(
          unix({ engine }),
          { kind: 'unix', path: join(directory, 's') },
          { dispose: () => rmSync(directory, { recursive: true }) },
        )
      },
    },
    { test, ok: assert.ok, skip: test.skip },
  )
}
