import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { checkCredentials } from './certificate-check.ts'

const authority = await DevAuthority.create(systemClock)
const one = await authority.issue({ names: ['one.example'] })
const two = await authority.issue({ names: ['two.example'] })
const own = one.certificate.slice(0, one.certificate.indexOf(authority.ca))
const stranger = await DevAuthority.create(systemClock, 'stranger')

test('checkCredentials says what a certificate is', () => {
  const info = checkCredentials(one, 'x')
  assert.equal(info.subject, 'CN=one.example')
  assert.equal(info.names, 'DNS:one.example')
  assert.ok(Math.abs(info.validToMs - systemClock.wallNow() - 90 * 86_400_000) < 60_000)
})

test('checkCredentials says what is wrong, with the place in the file', () => {
  const { key } = one
  const cases: [certificate: string, key: string, message: RegExp][] = [
    [
      two.certificate,
      key,
      /^a\.pem: the key does not belong to the certificate of CN=two\.example$/,
    ],
    [
      authority.ca + own,
      key,
      /wrong order: certificate 2 of 2 \(CN=one\.example\) belongs to the key and must stand first$/,
    ],
    [
      own + stranger.ca + authority.ca,
      key,
      /certificate 1 of 3 .* was not issued by the one after it \(CN=stranger\): its issuer is certificate 3$/,
    ],
    [own + stranger.ca, key, /its issuer CN=heddle development authority is not in the file$/],
    [key, key, /no PEM certificate in it: it holds a private key$/],
    ['', key, /no PEM certificate in it$/],
    [own, own, /the private key cannot be read: /],
    [own.repeat(33), key, /33 certificates, at most 32/],
  ]
  for (const [certificate, used, message] of cases) {
    const check = () => checkCredentials({ certificate, key: used }, 'a.pem')
    assert.throws(check, { code: 'ERR_CONFIG', message })
  }
  // The certificate alone, with its root, and with what old bundles have behind the root.
  checkCredentials({ certificate: own, key }, 'a.pem')
  checkCredentials({ certificate: one.certificate, key }, 'a.pem')
  checkCredentials({ certificate: one.certificate + stranger.ca, key }, 'a.pem')
})

test('checkCredentials wants the passphrase, and keeps it to itself', async () => {
  const { createPrivateKey } = await import('node:crypto')
  const passphrase = 'canary-passphrase'
  const key = createPrivateKey(one.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
    .toString()
  assert.equal(checkCredentials({ ...one, key, passphrase }, 'x').subject, 'CN=one.example')
  for (const wrong of [{}, { passphrase: `${passphrase}-wrong` }]) {
    assert.throws(
      () => checkCredentials({ certificate: one.certificate, key, ...wrong }, 'x'),
      (error: Error) => /cannot be read/.test(error.message) && !error.message.includes(passphrase),
    )
  }
})
