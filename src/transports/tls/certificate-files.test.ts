import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Acceptor, Recorder } from '../../../test/transports/recorder.ts'
import { ip } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority, type DevCertificate } from '../../security/dev-certificate.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type CertificateEvent, certificateFiles } from './certificate-files.ts'
import { tls } from './tls.ts'

const folder = mkdtempSync(join(tmpdir(), 'heddle-certificates-'))
after(() => rmSync(folder, { recursive: true }))
const certFile = join(folder, 'tls.crt')
const keyFile = join(folder, 'tls.key')
const authority = await DevAuthority.create(systemClock)

function place({ certificate, key }: Pick<DevCertificate, 'certificate' | 'key'>): void {
  writeFileSync(certFile, certificate)
  writeFileSync(keyFile, key)
}

test('certificateFiles shows what the files hold, without binding anew, and never what is broken', async () => {
  const first = await authority.issue()
  const second = await authority.issue({ names: ['127.0.0.1', 'second'] })
  place(first)
  const events: CertificateEvent[] = []
  await using certificates = await certificateFiles({
    certificates: [{ certFile, keyFile }],
    onEvent: (event) => events.push(event),
  })
  await using acceptor = await Acceptor.listen(tls({ certificates }), ip('127.0.0.1', 0))
  const client = tls({ ca: authority.ca, maxSessions: 0 })
  const shown = async () => {
    const connection = await client.connect(acceptor.address)
    connection.destroy()
    return connection.facts.tls?.peerCertificate()?.subject
  }
  const standing = await client.connect(acceptor.address)
  const recorder = new Recorder()
  standing.open(recorder)
  assert.equal(await shown(), 'CN=localhost')
  assert.equal(await certificates.reload(), 'unchanged')

  // Half of a renewal: the new certificate is there, its key is not yet.
  writeFileSync(certFile, second.certificate)
  assert.equal(await certificates.reload(), 'rejected')
  assert.equal(await certificates.reload(), 'rejected')
  assert.equal(await shown(), 'CN=localhost')
  writeFileSync(keyFile, second.key)
  assert.equal(await certificates.reload(), 'reloaded')
  assert.equal(await shown(), 'CN=127.0.0.1')

  place(await authority.issue({ validDays: -1 }))
  assert.equal(await certificates.reload(), 'rejected')
  rmSync(keyFile)
  assert.equal(await certificates.reload(), 'rejected')
  assert.equal(await shown(), 'CN=127.0.0.1')
  assert.deepEqual(
    events.map((event) => (event.type === 'rejected' ? event.error.message : event.type)),
    [
      `${certFile} and ${keyFile}: the key does not belong to the certificate of CN=127.0.0.1`,
      'reloaded',
      (events[2] as { error: Error }).error.message,
      (events[3] as { error: Error }).error.message,
    ],
  )
  assert.match(
    (events[2] as { error: Error }).error.message,
    /new certificate of CN=localhost ended/,
  )
  assert.match((events[3] as { error: Error }).error.message, /tls\.key cannot be read/)
  assert.deepEqual(recorder.events, [], 'the connection of before goes on')
  standing.destroy()
})

test('certificateFiles looks at the files by itself, and warns of the end', async () => {
  const clock = new ManualClock()
  clock.jumpWall(systemClock.wallNow() - clock.wallNow())
  place(await authority.issue({ validDays: 20 }))
  const events: string[] = []
  let reloaded: () => void = () => {}
  const certificates = await certificateFiles({
    certificates: [{ certFile, keyFile, serverNames: ['*.example'] }],
    intervalMs: 1_000,
    clock,
    onEvent(event) {
      events.push(event.type === 'expiry' ? `expiry ${event.mark}` : event.type)
      if (event.type === 'reloaded') reloaded()
    },
  })
  assert.deepEqual(events, ['expiry 30'])
  assert.deepEqual(Object.keys(certificates.current.serverNames ?? {}), ['*.example'])
  place(await authority.issue())
  const change = new Promise<void>((resolve) => {
    reloaded = resolve
  })
  clock.advance(999)
  assert.deepEqual(events, ['expiry 30'])
  clock.advance(1)
  await change
  assert.deepEqual(events, ['expiry 30', 'reloaded'])
  await certificates[Symbol.asyncDispose]()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(clock.pendingTimers, 0)
})

test('certificateFiles says at once what is wrong with the first set', async () => {
  rmSync(keyFile, { force: true })
  const missing = certificateFiles({ certificates: [{ certFile, keyFile }] })
  await assert.rejects(missing, { code: 'ERR_CONFIG', message: /tls\.key cannot be read: ENOENT/ })
  await assert.rejects(certificateFiles({ certificates: [] }), { code: 'ERR_OPTION_RANGE' })
  place(await authority.issue())
  const options = { certificates: [{ certFile, keyFile }], intervalMs: 0 }
  await assert.rejects(certificateFiles(options), { code: 'ERR_OPTION_RANGE' })
})
