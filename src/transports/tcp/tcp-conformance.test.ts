import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realFixture } from '../../../test/transports/real-fixture.ts'
import { ip } from '../../core/address.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { tcp } from './tcp.ts'

for (const engine of ['handle', 'net'] as const) {
  transportConformance(
    `tcp (${engine})`,
    {
      traits: { halfClose: true, secure: false, messageBoundaries: false },
      create: () => realFixture(tcp({ engine }), ip('127.0.0.1', 0)),
    },
    { test, ok: assert.ok, skip: test.skip },
  )
}
