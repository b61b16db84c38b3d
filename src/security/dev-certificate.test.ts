import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { ManualClock } from '../testing/manual-clock.ts'
import { createDevCertificate, DevAuthority } from './dev-certificate.ts'

test('createDevCertificate is for localhost by every name, and matches its key', async () => {
  const { certificate, key, ca } = await createDevCertificate(clock())
  const leaf = new X509Certificate(certificate)
  const authority = new X509Certificate(ca)
  assert.equal(leaf.checkHost('localhost'), 'localhost')
  assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1')
  assert.ok(leaf.checkIP('::1'))
  assert.ok(leaf.checkPrivateKey(createPrivateKey(key)))
  assert.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey))
  assert.ok(authority.ca && !leaf.ca)
  assert.equal(certificate.match(/BEGIN CERTIFICATE/g)?.length, 2, 'the chain')
})

test('DevAuthority.issue dates certificates by the clock it was given', async () => {
  const authority = await DevAuthority.create(clock())
  const valid = new X509Certificate((await authority.issue({ validDays: 1 })).certificate)
  const expired = new X509Certificate((await authority.issue({ validDays: -1 })).certificate)
  const now = clock().wallNow()
  assert.equal(Date.parse(valid.validTo), Math.floor((now + 86_400_000) / 1_000) * 1_000)
  assert.ok(
    Date.parse(expired.validTo) < now &&
      Date.parse(expired.validFrom) < Date.parse(expired.validTo),
  )
  await assert.rejects(authority.issue({ validDays: 3_651 }), { code: 'ERR_OPTION_RANGE' })
  const client = new X509Certificate(
    (await authority.issue({ names: ['a, b'], usage: 'client' })).certificate,
  )
  assert.equal(client.subject, 'CN=a\\, b')
  assert.deepEqual(client.keyUsage, ['1.3.6.1.5.5.7.3.2'])
})

function clock(): ManualClock {
  return new ManualClock({ wallStartMs: Date.UTC(2026, 0, 2, 3, 4, 5) })
}
