import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClosedError, ProtocolError, TimeoutError, TransportError } from '../../core/errors.ts'
import { quic } from './quic.ts'
import { checkCode, closedConnection, defaultCodeOf, failedHandshake } from './quic-errors.ts'
import { type QuicUnsupported, quicDefaults } from './quic-options.ts'
import { quicStreams } from './quic-streams.ts'
import { resolveQuicOptions } from './resolve-quic-options.ts'

test('quic refuses options it does not know', () => {
  assert.throws(() => quic({ port: 1 } as never), { code: 'ERR_OPTION_UNKNOWN' })
  assert.throws(() => quicStreams({ port: 1 } as never), { code: 'ERR_OPTION_UNKNOWN' })
})

test('quic takes an explicit undefined as absent', () => {
  const resolved = resolveQuicOptions({ idleTimeoutMs: undefined } as never)
  assert.equal(resolved.idleTimeoutMs, quicDefaults.idleTimeoutMs)
})

test('quic refuses values outside their range, at the limit and one past', () => {
  const limits = [
    ['idleTimeoutMs', 100, 3_600_000],
    ['connectTimeoutMs', 1, 3_600_000],
    ['handshakeTimeoutMs', 1, 3_600_000],
    ['maxHandshakes', 1, 1_000_000],
    ['maxSessions', 0, 1_000_000],
    ['highWaterMarkBytes', 0, 0x4000_0000],
    ['maxConnectionsPerEndpoint', 1, 100_000],
    ['endpoints', 1, 256],
    ['maxConcurrentStreams', 1, 100_000],
    ['maxAcceptedStreams', 1, 10_000_000],
    ['maxPausedConnections', 0, 65_535],
    ['maxUnreadBytes', 1, 0x4000_0000],
    ['maxPausedDatagrams', 0, 65_535],
  ] as const
  for (const [name, min, max] of limits) {
    for (const good of [min, max]) quic({ [name]: good, onWarning() {} })
    for (const bad of [min - 1, max + 1, 1.5, Number.NaN]) {
      assert.throws(() => quic({ [name]: bad }), { code: 'ERR_OPTION_RANGE' }, `${name} ${bad}`)
    }
  }
  for (const [name, min, max] of [
    ['maxStreamsPerConnection', 1, 1_000_000],
    ['maxConnectionsPerOrigin', 1, 10_000],
    ['lingerMs', 0, 3_600_000],
  ] as const) {
    for (const good of [min, max]) quicStreams({ [name]: good })
    for (const bad of [min - 1, max + 1]) {
      assert.throws(() => quicStreams({ [name]: bad }), { code: 'ERR_OPTION_RANGE' })
    }
  }
})

test('quic needs a protocol, with a name that fits', () => {
  assert.throws(() => quic({ alpn: [] }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => quic({ alpn: [''] }), { code: 'ERR_OPTION_RANGE' })
  quic({ alpn: ['a'.repeat(255)] })
  assert.throws(() => quic({ alpn: ['a'.repeat(256)] }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => quic({ clientCertificates: 'maybe' as never }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => quic({ pins: ['sha1/abc'] }), { code: 'ERR_OPTION_RANGE' })
})

test('quic reports what the stack cannot honour, and takes it for nothing', () => {
  const warnings: QuicUnsupported[] = []
  const transport = quic({
    initialMaxData: 10_000_000,
    initialMaxStreamData: 1_000_000,
    keepAliveMs: 30_000,
    migration: true,
    earlyData: true,
    unreliableDatagrams: true,
    onWarning: (warning) => void warnings.push(warning),
  })
  assert.deepEqual(transport.unsupported, warnings)
  assert.deepEqual(
    warnings.map(({ option }) => option),
    [
      'initialMaxData',
      'initialMaxStreamData',
      'keepAliveMs',
      'migration',
      'earlyData',
      'unreliableDatagrams',
    ],
  )
  for (const warning of warnings) assert.match(warning.reason, /OpenSSL/)
})

test('quic says nothing about what holds anyway', () => {
  const options = { migration: false, earlyData: false }
  assert.deepEqual(quic({ ...options, unreliableDatagrams: false }).unsupported, [])
})

test('quic closes with a code for each kind of reason', () => {
  const codes = [
    undefined,
    new ProtocolError('ERR_PROTOCOL', ''),
    new ProtocolError('ERR_FRAME_TOO_LARGE', ''),
    new ProtocolError('ERR_CHECKSUM', ''),
    new TimeoutError('ERR_DEADLINE', ''),
    new ClosedError('ERR_CLOSED', ''),
    new Error('anything'),
    new TransportError('ERR_RESET', ''),
  ].map(defaultCodeOf)
  assert.deepEqual(codes, [0, 1, 2, 3, 4, 5, 1, 0])
  assert.equal(checkCode(2n ** 62n - 1n), 2n ** 62n - 1n)
  for (const bad of [2n ** 62n, -1n, -1, 0.5, Number.NaN]) {
    assert.throws(() => checkCode(bad), { code: 'ERR_OPTION_RANGE' })
  }
})

test('quic names transport errors, whoever made them', () => {
  const base = { reason: '', transport: true, local: true }
  const ours = closedConnection({ ...base, code: 4n, reason: 'too many' }, 'peer')
  assert.ok(ours instanceof ProtocolError)
  assert.match(ours.message, /peer broke the protocol: stream limit error: too many/)
  const theirs = closedConnection({ ...base, code: 10n, local: false }, 'peer')
  assert.ok(theirs instanceof TransportError)
  assert.match(theirs.message, /protocol violation/)
  const huge = closedConnection({ ...base, transport: false, code: 2n ** 61n }, 'peer')
  assert.equal(huge.status, String(2n ** 61n))
  const alert = failedHandshake({ ...base, code: 0x1ffn, local: false }, undefined, 'peer', [])
  assert.equal(alert.code, 'ERR_TLS')
  const refused = failedHandshake({ ...base, code: 2n, local: false }, undefined, 'peer', [])
  assert.equal(refused.code, 'ERR_CONNECT_REFUSED')
  const silent = failedHandshake(undefined, undefined, 'peer', ['wrong version'])
  assert.match(silent.message, /wrong version/)
})
