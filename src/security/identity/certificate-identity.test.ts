import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import type { TlsFacts } from '../../core/connection.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../dev-certificate.ts'
import {
  CertificateIdentity,
  type CertificateIdentityOptions,
  readNames,
  spiffeTrustDomain,
} from './certificate-identity.ts'

const authority = await DevAuthority.create(systemClock)

async function facts(names: readonly string[], authorized = true): Promise<TlsFacts> {
  const { certificate } = await authority.issue({ names, usage: 'client' })
  const { raw } = new X509Certificate(certificate)
  return { authorized, peerCertificate: () => ({ raw }) } as unknown as TlsFacts
}

async function idOf(
  names: readonly string[],
  options: CertificateIdentityOptions = {},
): Promise<string | undefined> {
  const outcome = new CertificateIdentity(options).identify(await facts(names))
  return outcome?.outcome === 'accepted' ? outcome.principal.id : undefined
}

test('CertificateIdentity takes the name from the first source that has one', async () => {
  assert.equal(await idOf(['a.example']), 'a.example')
  assert.equal(
    await idOf(['spiffe://prod.example/ns/a', 'a.example']),
    'spiffe://prod.example/ns/a',
  )
  assert.equal(await idOf(['a.example', 'spiffe://prod/x'], { sources: ['dns'] }), 'a.example')
  assert.equal(
    await idOf(['a.example', 'https://x.example/y'], { sources: ['uri'] }),
    'https://x.example/y',
  )
  assert.equal(await idOf(['alice'], { sources: ['common-name'] }), 'alice')
  assert.match(String(await idOf(['alice'], { sources: ['fingerprint'] })), /^[0-9a-f]{64}$/)
  assert.equal(await idOf(['a.example'], { sources: ['email'] }), undefined)
})

test('CertificateIdentity accepts SPIFFE IDs of its trust domains only, and one for a certificate', async () => {
  const options: CertificateIdentityOptions = {
    sources: ['spiffe'],
    trustDomains: ['prod.example'],
  }
  assert.equal(await idOf(['spiffe://prod.example/a'], options), 'spiffe://prod.example/a')
  assert.equal(await idOf(['spiffe://dev.example/a'], options), undefined)
  // Nor by another of its names.
  const more = { ...options, sources: ['spiffe', 'uri', 'fingerprint'] as const }
  assert.equal(await idOf(['spiffe://dev.example/a'], more), undefined)
  assert.equal(await idOf(['SPIFFE://dev.example/a'], more), undefined)
  assert.equal(
    await idOf(['spiffe://prod.example/a', 'spiffe://prod.example/b'], options),
    undefined,
  )
  assert.equal(
    await idOf(['spiffe://prod.example/a', 'https://prod.example/b'], options),
    undefined,
  )
})

for (const [id, domain] of [
  ['spiffe://a.example/b/c', 'a.example'],
  ['spiffe://a.example', 'a.example'],
  ['spiffe://a.example/', undefined],
  ['spiffe://a.example//b', undefined],
  ['spiffe://a.example/../b', undefined],
  ['spiffe://a.example/./b', undefined],
  ['spiffe://A.example/b', undefined],
  ['spiffe://a.example:443/b', undefined],
  ['spiffe://user@a.example/b', undefined],
  ['spiffe://a.example/b?c', undefined],
  ['spiffe://a.example/b#c', undefined],
  ['spiffe://a.example/%61', undefined],
  ['spiffe:///b', undefined],
  ['https://a.example/b', undefined],
  [`spiffe://a.example/${'x'.repeat(2_048)}`, undefined],
] as const) {
  test(`spiffeTrustDomain of ${id.slice(0, 40)} is ${domain}`, () => {
    assert.equal(spiffeTrustDomain(id), domain)
  })
}

test('CertificateIdentity gives roles by name, and may refuse names it does not know', async () => {
  const options: CertificateIdentityOptions = {
    roles: { 'a.example': ['writer'] },
    knownOnly: true,
  }
  const identity = new CertificateIdentity(options)
  const known = identity.identify(await facts(['a.example']))
  assert.deepEqual(known?.outcome === 'accepted' && known.principal.roles, ['writer'])
  assert.equal(identity.identify(await facts(['b.example']))?.outcome, 'refused')
  assert.equal(identity.identify(await facts(['__proto__']))?.outcome, 'refused')
})

test('CertificateIdentity sees no login in a connection without a verified certificate', async () => {
  const identity = new CertificateIdentity()
  assert.equal(identity.identify(undefined), undefined)
  assert.equal(identity.identify(await facts(['a.example'], false)), undefined)
  const none = { authorized: true, peerCertificate: () => undefined } as unknown as TlsFacts
  assert.equal(identity.identify(none), undefined)
})

test('CertificateIdentity reads the certificate of a connection once', async () => {
  const tls = await facts(['a.example'])
  let read = 0
  const counted = {
    authorized: true,
    peerCertificate: () => {
      read++
      return tls.peerCertificate()
    },
  } as unknown as TlsFacts
  const identity = new CertificateIdentity()
  const first = identity.identify(counted)
  assert.equal(identity.identify(counted), first)
  assert.equal(read, 1)
})

test('readNames is not led astray by names that look like the end of others', () => {
  const names = (subjectAltName: string, subject = 'CN=x') => readNames({ subjectAltName, subject })
  assert.deepEqual(names('DNS:a.example, IP Address:127.0.0.1, email:a@b')?.dns, ['a.example'])
  const quoted = names('DNS:"a, DNS:admin.example", URI:https://x/')
  assert.deepEqual(quoted?.dns, ['a, DNS:admin.example'])
  assert.deepEqual(quoted?.uri, ['https://x/'])
  assert.deepEqual(names('DNS:"a\\", DNS:b"')?.dns, ['a", DNS:b'])
  for (const broken of ['DNS', 'DNS:"a', 'DNS:"a"x', 'DNS:"\\x"']) {
    assert.equal(names(broken), undefined, broken)
  }
  assert.equal(names('', 'CN=a\nCN=b')?.commonName, undefined)
  assert.equal(names('', 'O=CN=b')?.commonName, undefined)
})

test('a certificate whose name holds a comma and another name is one name', async () => {
  assert.deepEqual(await idOf(['a.example, DNS:admin.example']), 'a.example, DNS:admin.example')
})
