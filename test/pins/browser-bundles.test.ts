/** What pages load needs nothing of Node and stays small. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BUNDLES, bundle } from '../../scripts/bundle.ts'

for (const one of BUNDLES) {
  test(`heddle/${one.subpath} is at most ${one.maxBytes} bytes for a page: ${one.why}`, async () => {
    const bytes = await bundle(one)
    assert.ok(bytes.length <= one.maxBytes, `${bytes.length} bytes, over ${one.maxBytes}`)
    // A limit that is never near would find nothing.
    assert.ok(bytes.length > one.maxBytes * 0.7, `${bytes.length} bytes: lower the limit`)
    assert.doesNotMatch(Buffer.from(bytes).toString(), /node:|\bBuffer\b|\bprocess\./)
  })
}
