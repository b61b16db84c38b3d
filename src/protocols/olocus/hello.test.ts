import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ed25519Key, nodeSigning } from '../../platform/node-signing.ts'
import { webKey, webSigning } from '../../platform/web-signing.ts'
import { Negotiation, type NegotiationOptions } from './hello.ts'
import { WireFormat } from './wire-format.ts'

const NOW = 1_640_995_200
const ALICE = ed25519Key(new Uint8Array(32).fill(1))
const BOB = ed25519Key(new Uint8Array(32).fill(2))

function side(role: 'dialer' | 'listener', changes: Partial<NegotiationOptions> = {}): Negotiation {
  return new Negotiation({
    role,
    key: role === 'dialer' ? ALICE : BOB,
    host: nodeSigning,
    nonce: new Uint8Array(32).fill(role === 'dialer' ? 1 : 2),
    now: NOW,
    ...changes,
  })
}

/** Runs both sides; `change` stands between them. */
async function negotiate(
  dialer: Negotiation,
  listener: Negotiation,
  change: (message: Uint8Array, from: 'dialer' | 'listener') => Uint8Array = (message) => message,
): Promise<void> {
  const first = change(dialer.start(), 'dialer')
  const second = change(listener.start(), 'listener')
  const toDialer = await listener.receive(first)
  const toListener = await dialer.receive(second)
  await listener.receive(change(toListener as Uint8Array, 'dialer'))
  await dialer.receive(change(toDialer as Uint8Array, 'listener'))
}

const edit = (message: Uint8Array, from: string, to: string): Uint8Array =>
  new TextEncoder().encode(new TextDecoder().decode(message).replace(from, to))

test('both sides agree: the dialer’s order of formats, the newest common version, the smaller limit', async () => {
  const formats = [WireFormat.compressedBinary(), WireFormat.msgpack(), WireFormat.binary()]
  const dialer = side('dialer', { formats, maxMessageBytes: 5_000, agent: 'a/1' })
  const listener = side('listener', {
    formats: [WireFormat.binary(), WireFormat.msgpack()],
    versions: [0x0105, 0x0107],
  })
  assert.equal(dialer.state, 'new')
  await negotiate(dialer, listener)
  for (const { agreement } of [dialer, listener]) {
    assert.equal(String(agreement?.format), 'messagepack')
    assert.equal(agreement?.version, 0x0107)
    assert.equal(agreement?.maxMessageBytes, 5_000)
  }
  assert.deepEqual(dialer.agreement?.peerKey, BOB.publicKey)
  assert.deepEqual(listener.agreement?.peerKey, ALICE.publicKey)
  assert.equal(listener.agreement?.peerAgent, 'a/1')
  dialer.end()
})

test('a side whose keys are in WebCrypto agrees with one on Node', async () => {
  const key = await webKey(new Uint8Array(32).fill(1), ALICE.publicKey)
  const dialer = side('dialer', { key, host: webSigning })
  const listener = side('listener')
  await negotiate(dialer, listener)
  assert.deepEqual([dialer.state, listener.state], ['agreed', 'agreed'])
})

test('nobody can take a format or a version out of an offer', async () => {
  const formats = [WireFormat.msgpack(), WireFormat.binary()]
  const cases: ((message: Uint8Array, from: string) => Uint8Array)[] = [
    (message, from) => (from === 'dialer' ? edit(message, '[2,0],[0,0]', '[0,0]') : message),
    (message, from) => (from === 'listener' ? edit(message, '[2,0],[0,0]', '[0,0]') : message),
    (message) => edit(message, '"versions":[261,511]', '"versions":[261,261]'),
    (message) => edit(message, '"max_message":1048576', '"max_message":1000'),
  ]
  for (const change of cases) {
    const attempt = negotiate(side('dialer', { formats }), side('listener', { formats }), change)
    await assert.rejects(attempt, { status: 40, code: 'ERR_NEGOTIATION' })
  }
})

test('refusals have numbers', async () => {
  const dead: [Partial<NegotiationOptions>, Partial<NegotiationOptions>, number][] = [
    [{}, { versions: [0x0106, 0x0106] as const }, 0],
    [{ versions: [0x0100, 0x0104] as const }, {}, 41],
    [{ versions: [0x0200, 0x0201] as const }, {}, 42],
    [{ formats: [WireFormat.json()] }, {}, 32],
    [{ now: NOW + 300 }, {}, 0],
    [{ now: NOW + 301 }, {}, 31],
    [{ now: NOW - 301 }, {}, 30],
    [{ binding: Uint8Array.of(1) }, { binding: Uint8Array.of(2) }, 40],
    [{ binding: Uint8Array.of(1) }, { binding: Uint8Array.of(1) }, 0],
    [{}, { expectedKey: ALICE.publicKey }, 0],
    [{}, { expectedKey: BOB.publicKey }, 6],
    [{ nonce: new Uint8Array(32).fill(2) }, {}, 40],
  ]
  for (const [dialer, listener, status] of dead) {
    const attempt = negotiate(side('dialer', dialer), side('listener', listener))
    if (status === 0) await attempt
    else await assert.rejects(attempt, { status })
  }
})

test('a hello that is written in another way is refused', () => {
  const cases: [string, string, number][] = [
    ['"proto":"olocus/1"', '"proto":"olocus/2"', 42],
    ['"suites":[0]', '"suites":[1]', 35],
    ['"suites":[0]', '"suites":[]', 39],
    ['"suites":[0]', '"suites": [0]', 39],
    ['"suites":[0]', '"suites":[0],"suites":[0]', 39],
    ['"agent":"heddle"', '"agent":"he\\u0000"', 39],
    ['"agent":"heddle",', '', 39],
    ['"versions":[261,511]', '"versions":[511,261]', 39],
    ['"versions":[261,511]', '"versions":[261]', 39],
    ['"formats":[[0,0]]', '"formats":[[0]]', 39],
    ['"formats":[[0,0]]', `"formats":[${'[0,0],'.repeat(32)}[0,0]]`, 39],
    ['"max_message":1048576', '"max_message":0', 39],
    ['"peer_key":"8', '"peer_key":"', 39],
    ['"time":1640995200', '"time":1.5', 39],
    ['{', '[', 39],
    ['{', `{"pad":"${'x'.repeat(8_192)}",`, 39],
  ]
  for (const [from, to, status] of cases) {
    const listener = side('listener')
    listener.start()
    const hello = edit(side('dialer').start(), from, to)
    assert.throws(() => listener.receive(hello), { status }, to)
    assert.equal(listener.state, 'failed')
    assert.throws(() => listener.receive(hello), { status: 22 })
  }
  const listener = side('listener')
  listener.start()
  assert.throws(() => listener.receive(Uint8Array.of(0xff)), { status: 39 })
  const weak = edit(side('dialer').start(), /"peer_key":"[0-9a-f]{64}"/ as never, '')
  assert.ok(weak.length > 0)
})

test('a weak key, a confirmation by another key, one out of turn, an end before both agreed', async () => {
  const listener = side('listener')
  listener.start()
  const text = new TextDecoder().decode(side('dialer').start())
  const weak = text.replace(/"peer_key":"[0-9a-f]{64}"/, `"peer_key":"${'00'.repeat(32)}"`)
  assert.throws(() => listener.receive(new TextEncoder().encode(weak)), { status: 6 })

  const swap = (message: Uint8Array): Uint8Array =>
    edit(message, '"signature":"', `"signature":"`).length === 0 ? message : flip(message)
  const attempt = negotiate(side('dialer'), side('listener'), swap)
  await assert.rejects(attempt, { status: 6, code: 'ERR_SIGNATURE' })

  const early = side('dialer')
  assert.throws(() => early.receive(new Uint8Array(0)), { status: 22 })
  early.start()
  assert.throws(() => early.start(), { code: 'ERR_STATE' })
  assert.throws(() => early.end(), { status: 21 })
  const twice = side('listener')
  twice.start()
  const hello = side('dialer').start()
  await twice.receive(hello)
  assert.throws(() => twice.receive(hello), { status: 22 })
})

/** Changes a digit of the signature of a confirmation. */
function flip(message: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(message)
  return new TextEncoder().encode(
    text.replace(/"signature":"(.)/, (_, digit) => `"signature":"${digit === '0' ? '1' : '0'}`),
  )
}

test('options that no peer would take are the caller’s mistake', () => {
  assert.throws(() => side('dialer', { nonce: new Uint8Array(31) }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => side('dialer', { formats: [] }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => side('dialer', { agent: 'x'.repeat(129) }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => side('dialer', { versions: [2, 1] }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => side('dialer', { maxMessageBytes: 0 }), { code: 'ERR_ARGUMENT' })
})
