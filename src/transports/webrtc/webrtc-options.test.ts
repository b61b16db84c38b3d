import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { parseIceUrl, seedIceServers } from './ice-servers.ts'
import type { Signalling } from './signalling.ts'
import { checkWebRtcOptions, type WebRtcOptions, webRtcDefaults } from './webrtc-options.ts'

const signalling: Signalling = { join: () => Promise.reject(new Error('not used')) }
const check = (options: Partial<WebRtcOptions>) => checkWebRtcOptions({ signalling, ...options })

test('webRtc is reliable and ordered, and asks no STUN server, unless it is told to', () => {
  const options = check({})
  assert.equal(options.ordered, true)
  assert.equal(options.maxRetransmits, undefined)
  assert.equal(options.maxPacketLifeTimeMs, undefined)
  assert.deepEqual(options.iceServers, [])
})

test('webRtc refuses both lossy modes at once, as the seed has them, and none', () => {
  const both = { maxRetransmits: 3, maxPacketLifeTimeMs: 3_000 }
  assert.throws(() => check({ unreliable: both }), {
    code: 'ERR_ARGUMENT',
    message: /maxRetransmits 3 and maxPacketLifeTimeMs 3000: a channel has one limit or the other/,
  })
  assert.throws(() => check({ unreliable: {} as { maxRetransmits: number } }), {
    code: 'ERR_ARGUMENT',
  })
  assert.equal(check({ unreliable: { maxRetransmits: 0 } }).maxRetransmits, 0)
  assert.equal(check({ unreliable: { maxPacketLifeTimeMs: 3_000 } }).maxPacketLifeTimeMs, 3_000)
})

test('each limit is taken at its ends, and refused one past them', () => {
  const ranges = {
    maxMessageBytes: [
      1,
      0x4000_0000,
      { receiveWindowBytes: 0x4000_0000, maxHeldBytes: 0x4000_0000 },
    ],
    receiveWindowBytes: [webRtcDefaults.maxMessageBytes + 64, 0x4000_0000, {}],
    maxHeldBytes: [webRtcDefaults.maxMessageBytes, 0x4000_0000, {}],
    highWaterMarkBytes: [0, 0x4000_0000, {}],
    connectTimeoutMs: [1, 3_600_000, {}],
    acceptTimeoutMs: [1, 3_600_000, {}],
    closeTimeoutMs: [1, 3_600_000, {}],
    maxPendingPeers: [1, 65_535, {}],
    maxCandidates: [1, 1_024, {}],
    maxChannels: [1, 1_024, {}],
  } as const
  for (const [name, [min, max, others]] of Object.entries(ranges)) {
    check({ [name]: min })
    if (name !== 'maxMessageBytes') check({ ...others, [name]: max })
    const message = new RegExp(`^${name} is `)
    assert.throws(() => check({ [name]: min - 1 }), { code: 'ERR_OPTION_RANGE', message })
    assert.throws(() => check({ ...others, [name]: max + 1 }), {
      code: 'ERR_OPTION_RANGE',
      message,
    })
  }
  for (const unreliable of [{ maxRetransmits: 65_536 }, { maxPacketLifeTimeMs: 65_536 }]) {
    assert.throws(() => check({ unreliable }), { code: 'ERR_OPTION_RANGE' })
  }
  assert.throws(() => check({ portRange: [2, 1] }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => check({ label: 'x'.repeat(1_025) }), { code: 'ERR_ARGUMENT' })
})

test('webRtc needs signalling', () => {
  assert.throws(() => checkWebRtcOptions({} as WebRtcOptions), { code: 'ERR_ARGUMENT' })
})

test('URLs of ICE servers are read as RFC 7064 and 7065 have them', () => {
  const cases: Record<string, [string, string, number, string]> = {
    'stun:stun.example': ['stun', 'stun.example', 3_478, 'udp'],
    'stun:192.0.2.1:1': ['stun', '192.0.2.1', 1, 'udp'],
    'stuns:stun.example': ['stuns', 'stun.example', 5_349, 'tcp'],
    'turn:[2001:db8::1]:65535': ['turn', '2001:db8::1', 65_535, 'udp'],
    'turn:turn.example?transport=tcp': ['turn', 'turn.example', 3_478, 'tcp'],
    'turns:turn.example:443?transport=tcp': ['turns', 'turn.example', 443, 'tcp'],
  }
  for (const [url, [scheme, host, port, transport]] of Object.entries(cases)) {
    assert.deepEqual(parseIceUrl(url), { scheme, host, port, transport }, url)
  }
  for (const url of [
    '',
    'stun:',
    'stun://stun.example',
    'http:stun.example',
    'stun:a:0',
    'stun:a:65536',
    'stun:a?transport=udp',
    'turn:user:password@turn.example',
    'turn:a?transport=quic',
  ]) {
    assert.throws(
      () => parseIceUrl(url),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_ADDRESS_INVALID', url)
        assert.ok(!error.message.includes('password'))
        return true
      },
    )
  }
})

test('a TURN server needs its credentials, which nothing shows', () => {
  const urls = 'turn:turn.example'
  assert.throws(() => check({ iceServers: [{ urls }] }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => check({ iceServers: [{ urls, username: 'u' }] }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => check({ iceServers: [{ urls: [] }] }), { code: 'ERR_ARGUMENT' })
  const options = check({ iceServers: [{ urls, username: 'u', credential: 'hunter2' }] })
  assert.ok(!inspect(options, { depth: 9 }).includes('hunter2'))
  assert.equal(options.iceServers[0]?.credential?.reveal(), 'hunter2')
})

test('relay only needs a TURN server', () => {
  const iceTransportPolicy = 'relay'
  assert.throws(() => check({ iceTransportPolicy }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => check({ iceTransportPolicy, iceServers: seedIceServers }), {
    code: 'ERR_ARGUMENT',
  })
  check({
    iceTransportPolicy,
    iceServers: [{ urls: 'turn:turn.example', username: 'u', credential: 'c' }],
  })
})

test("the seed's server is there by name only", () => {
  assert.equal(check({ iceServers: seedIceServers }).iceServers.length, 1)
})
