import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { obstacleOf, wrongVersion } from './openssl/self-test.ts'
import { selfSigned } from './openssl/self-test-certificate.ts'
import { quicAvailability } from './quic-availability.ts'

const GOOD = {
  node: '24.1.0',
  platform: 'linux',
  processor: 'x64',
  littleEndian: true,
  sharedOpenssl: false,
}

test('quicAvailability says the same again, with a reason exactly when it is not available', () => {
  const answer = quicAvailability()
  assert.equal(answer.available, answer.reason === undefined)
  assert.equal(answer.driver, answer.available ? 'openssl' : undefined)
  assert.equal(answer.details['node'], process.versions.node)
  assert.deepEqual(quicAvailability(), answer)
})

test('quicAvailability knows where it cannot work, and why', () => {
  assert.equal(obstacleOf(GOOD), undefined)
  assert.equal(obstacleOf({ ...GOOD, platform: 'darwin', processor: 'arm64' }), undefined)
  assert.match(String(obstacleOf({ ...GOOD, node: '20.20.2' })), /needs Node 22/)
  assert.match(String(obstacleOf({ ...GOOD, platform: 'win32' })), /Windows/)
  assert.match(String(obstacleOf({ ...GOOD, sharedOpenssl: true })), /OpenSSL of the system/)
  assert.match(String(obstacleOf({ ...GOOD, littleEndian: false })), /little-endian/)
  assert.match(String(obstacleOf({ ...GOOD, processor: 'ia32' })), /64-bit/)
})

test('quicAvailability takes OpenSSL 3.5 and later 3.x, and no other', () => {
  for (const good of [0x3050_0000, 0x3050_0080, 0x3060_0000]) {
    assert.equal(wrongVersion(good), undefined)
  }
  assert.match(String(wrongVersion(0x3000_0130)), /this is 3\.0/)
  assert.match(String(wrongVersion(0x3040_0000)), /this is 3\.4/)
  assert.match(String(wrongVersion(0x4000_0000)), /this is 4\.0/)
})

test('the certificate of the self-test is one that others can read', async () => {
  const { X509Certificate, createPrivateKey } = await import('node:crypto')
  const { certificate, key } = selfSigned('self.test', Date.UTC(2030, 0, 2))
  const read = new X509Certificate(certificate)
  assert.equal(read.checkHost('self.test'), 'self.test')
  assert.equal(read.checkPrivateKey(createPrivateKey(key)), true)
  assert.equal(read.verify(read.publicKey), true)
  assert.match(read.validFrom, /Jan {2}1 00:00:00 2030/)
})

test('where no stack loads, every use throws ERR_OPTION_UNSUPPORTED with the reason', () => {
  const quicUrl = new URL('./quic.ts', import.meta.url).href
  const streamsUrl = new URL('./quic-streams.ts', import.meta.url).href
  const script = `
    const { quic } = await import(${JSON.stringify(quicUrl)})
    const { quicStreams } = await import(${JSON.stringify(streamsUrl)})
    const at = { kind: 'ip', host: '127.0.0.1', port: 1 }
    const options = { onConnection() {} }
    for (const transport of [quic(), quicStreams()]) {
      for (const use of [transport.connect(at), transport.listen(at, options)]) {
        await use.then(
          () => console.log('works'),
          ({ code, message }) => console.log(code, message),
        )
      }
    }`
  const parameters = ['--no-addons', '--input-type=module', '--eval', script]
  const { stdout } = spawnSync(process.execPath, parameters, { encoding: 'utf8' })
  const lines = stdout.trim().split('\n')
  assert.equal(lines.length, 4, stdout)
  for (const line of lines) {
    assert.match(
      line,
      /^ERR_OPTION_UNSUPPORTED QUIC is not available here: .*koffi cannot be loaded/,
    )
  }
})
