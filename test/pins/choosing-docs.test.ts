/**
 * docs/choosing-a-transport.md has the table that selection goes by, and the explanation it gives.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { explainSelection, selectTransport } from '../../src/links/selection/select-transport.ts'
import { transportProfiles } from '../../src/links/selection/transport-profiles.ts'

const page = readFileSync(fromRoot('docs/choosing-a-transport.md'), 'utf8')

test('the table of docs/choosing-a-transport.md is that of the code', () => {
  for (const profile of transportProfiles) {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${profile.name}\` |`))
    assert.ok(row !== undefined, profile.name)
    const [, , , reaches = '', ...cells] = row.split('|').map((cell) => cell.trim())
    const yes = (value: boolean): string => (value ? 'yes' : '')
    assert.ok(reaches.startsWith(profile.reach), `${profile.name} reaches ${reaches}`)
    assert.equal(reaches.includes('multicast'), profile.multicast, profile.name)
    assert.deepEqual(
      cells.slice(0, 8),
      [
        yes(profile.encrypted),
        yes(profile.messageBoundaries),
        yes(profile.multiplexed),
        yes(profile.browser),
        yes(profile.peerToPeer),
        String(profile.setupRoundTrips),
        String(profile.latencyRank),
        String(profile.throughputRank),
      ],
      profile.name,
    )
  }
})

test('the explanation in docs/choosing-a-transport.md is what the code says', () => {
  const selection = selectTransport({
    requirements: { encryption: true, prefer: 'throughput' },
    candidates: ['tcp://db:5432', 'tls://db:5433', 'quic://db:5433'],
  })
  assert.ok(page.includes(explainSelection(selection)), explainSelection(selection))
})
