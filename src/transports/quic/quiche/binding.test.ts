import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { quicheObstacle, wrongQuicheVersion } from './binding.ts'
import { checkWireCode, streamError } from './quiche-codes.ts'

const GOOD = { node: '24.1.0', platform: 'linux', processor: 'x64', mainThread: true }

test('the addon of quiche is not looked for where it cannot be, and the reason is told', () => {
  assert.equal(quicheObstacle(GOOD), undefined)
  assert.equal(quicheObstacle({ ...GOOD, platform: 'darwin', processor: 'arm64' }), undefined)
  assert.match(String(quicheObstacle({ ...GOOD, node: '22.20.0' })), /needs Node 24/)
  assert.match(String(quicheObstacle({ ...GOOD, platform: 'win32' })), /no binary for win32-x64/)
  assert.match(String(quicheObstacle({ ...GOOD, mainThread: false })), /worker threads/)
})

test('the addon of quiche is used in one version only', () => {
  assert.equal(wrongQuicheVersion('0.9.0'), undefined)
  for (const other of ['0.9.1', '1.0.0', undefined]) {
    assert.match(String(wrongQuicheVersion(other)), /only 0\.9\.0 was tested/)
  }
})

test('driver quiche sends no code that its addon would cut', () => {
  assert.equal(checkWireCode(0xffff_ffff), 0xffff_ffff)
  assert.equal(checkWireCode(7n), 7)
  assert.throws(() => checkWireCode(0x1_0000_0000), { code: 'ERR_OPTION_UNSUPPORTED' })
  assert.throws(() => checkWireCode(-1), { code: 'ERR_OPTION_RANGE' })
})

test('driver quiche reads from the words of quiche what became of a stream', () => {
  const reset = streamError('StreamReset(1099511627776)')
  assert.equal(reset.code, 'ERR_RESET')
  assert.equal(reset.status, 1_099_511_627_776)
  const stopped = streamError('stream_writable failed: StreamStopped(5)')
  assert.equal(stopped.status, 5)
  assert.match(stopped.message, /stopped reading/)
  assert.equal(streamError('stream send failed: QUIC error: StreamLimit').code, 'ERR_LIMITED')
  assert.match(streamError('InvalidStreamState(4)').message, /InvalidStreamState/)
})

test('without the addon every use throws ERR_OPTION_UNSUPPORTED with the reason', () => {
  const quicUrl = new URL('../quic.ts', import.meta.url).href
  const script = `
    const { quic } = await import(${JSON.stringify(quicUrl)})
    const at = { kind: 'ip', host: '127.0.0.1', port: 1 }
    const transport = quic({ driver: 'quiche' })
    for (const use of [transport.connect(at), transport.listen(at, { onConnection() {} })]) {
      await use.then(
        () => console.log('works'),
        ({ code, message }) => console.log(code, message),
      )
    }`
  const parameters = ['--no-addons', '--input-type=module', '--eval', script]
  const { stdout } = spawnSync(process.execPath, parameters, { encoding: 'utf8' })
  const lines = stdout.trim().split('\n')
  assert.equal(lines.length, 2, stdout)
  for (const line of lines) {
    assert.match(line, /^ERR_OPTION_UNSUPPORTED QUIC on driver 'quiche' is not available here: /)
    assert.match(line, /@currentspace\/http3/)
  }
})
