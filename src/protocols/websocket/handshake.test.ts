import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeHost } from '../../platform/node-host.ts'
import { HttpFields } from '../http/fields.ts'
import { acceptDeflate, agreeDeflate, offerDeflate, parseExtensions } from './extensions.ts'
import {
  acceptKey,
  checkUpgradeResponse,
  judgeUpgrade,
  makeUpgradeRequest,
  sameOrigin,
  type UpgradeOffer,
  type UpgradePolicy,
} from './handshake.ts'
import { deflateDefaults, resolveWebSocketOptions } from './options.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const plain = resolveWebSocketOptions({})
const packed = resolveWebSocketOptions({ compression: true })
const policy: UpgradePolicy = {
  subprotocols: [],
  requireSubprotocol: false,
  allowOrigin: sameOrigin,
}

const FIELDS: Readonly<Record<string, string>> = {
  upgrade: 'WebSocket',
  connection: 'keep-alive, Upgrade',
  'sec-websocket-key': KEY,
  'sec-websocket-version': '13',
}

function offer(
  fields: Record<string, string | undefined> = {},
  rest: Partial<UpgradeOffer> = {},
): UpgradeOffer {
  const all = new HttpFields()
  for (const [name, value] of Object.entries({ ...FIELDS, ...fields })) {
    if (value !== undefined) all.set(name, value)
  }
  const base = { method: 'GET', target: '/', authority: 'a.example', version: '1.1' }
  return { ...base, hasBody: false, ...rest, fields: all }
}

test('acceptKey is that of RFC 6455 1.3', () => {
  assert.equal(acceptKey(nodeHost, KEY), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
})

test('judgeUpgrade accepts a handshake and answers its key', () => {
  const judged = judgeUpgrade(nodeHost, plain, policy, offer())
  assert.equal(judged.status, 101)
  assert.equal(judged.fields.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  assert.equal(judged.fields.get('sec-websocket-protocol'), undefined)
})

const REFUSALS: readonly (readonly [string, number, UpgradeOffer, Partial<UpgradePolicy>?])[] = [
  ['another method', 405, offer({}, { method: 'POST' })],
  ['HTTP/1.0', 400, offer({}, { version: '1.0' })],
  ['no Upgrade', 426, offer({ upgrade: undefined })],
  ['an upgrade to something else', 426, offer({ upgrade: 'h2c' })],
  ['no Connection: Upgrade', 426, offer({ connection: 'keep-alive' })],
  ['a connection that closes', 400, offer({ connection: 'Upgrade, close' })],
  ['no version', 426, offer({ 'sec-websocket-version': undefined })],
  ['version 8', 426, offer({ 'sec-websocket-version': '8' })],
  ['no key', 400, offer({ 'sec-websocket-key': undefined })],
  ['a key that is too short', 400, offer({ 'sec-websocket-key': 'c2hvcnQ=' })],
  ['two keys', 400, offer({ 'sec-websocket-key': `${KEY}, ${KEY}` })],
  ['a body', 400, offer({}, { hasBody: true })],
  ['another origin', 403, offer({ origin: 'https://b.example' })],
  ['an opaque origin', 403, offer({ origin: 'null' })],
  ['a subprotocol that is no name', 400, offer({ 'sec-websocket-protocol': 'a, , b' })],
  ['other subprotocols', 400, offer({ 'sec-websocket-protocol': 'b' }), { subprotocols: ['a'] }],
  ['no subprotocol', 400, offer(), { subprotocols: ['a'], requireSubprotocol: true }],
]
for (const [what, status, asked, own] of REFUSALS) {
  test(`judgeUpgrade refuses ${what} with ${status}`, () => {
    const judged = judgeUpgrade(nodeHost, plain, { ...policy, ...own }, asked)
    assert.equal(judged.status, status)
    if (what.includes('version')) assert.equal(judged.fields.get('sec-websocket-version'), '13')
  })
}

test('sameOrigin is no origin, or the host that was asked', () => {
  assert.ok(sameOrigin(undefined, offer()))
  assert.ok(sameOrigin('https://A.example', offer()))
  assert.ok(sameOrigin('http://a.example:8080', offer({}, { authority: 'a.example:8080' })))
  assert.equal(sameOrigin('http://a.example:8080', offer()), false)
  assert.equal(sameOrigin('https://a.example.evil', offer()), false)
})

test('checkUpgradeResponse takes only the answer to its own request', () => {
  const request = makeUpgradeRequest(nodeHost, plain, ['a', 'b'], undefined)
  const answer = (fields: Record<string, string | undefined>): HttpFields => {
    const all = new HttpFields()
    const accept = acceptKey(nodeHost, request.key)
    const base = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': accept }
    for (const [name, value] of Object.entries({ ...base, ...fields })) {
      if (value !== undefined) all.set(name, value)
    }
    return all
  }
  const chosen = { 'sec-websocket-protocol': 'b' }
  const agreed = checkUpgradeResponse(nodeHost, plain, request, answer(chosen))
  assert.deepEqual(agreed, { subprotocol: 'b', deflate: undefined })
  for (const [wrong, why] of [
    [{ ...chosen, upgrade: 'h2c' }, /something else/],
    [{ ...chosen, connection: undefined }, /something else/],
    [{ ...chosen, 'sec-websocket-accept': 'x' }, /answer to the key/],
    [{}, /chose no subprotocol/],
    [{ 'sec-websocket-protocol': 'c' }, /not offered/],
    [{ ...chosen, 'sec-websocket-extensions': 'permessage-deflate' }, /not offered/],
  ] as const) {
    const check = () => checkUpgradeResponse(nodeHost, plain, request, answer(wrong))
    assert.throws(check, { code: 'ERR_WRONG_PROTOCOL', message: why })
  }
})

test('acceptDeflate takes the first offer that it can keep', () => {
  const { compression } = packed
  const answers: readonly (readonly [string, string | undefined])[] = [
    ['permessage-deflate', ''],
    [offerDeflate(), ''],
    ['permessage-deflate; server_max_window_bits=10', '; server_max_window_bits=10'],
    ['permessage-deflate; server_max_window_bits="12"', '; server_max_window_bits=12'],
    ['permessage-deflate; server_max_window_bits=8', undefined],
    ['permessage-deflate; server_max_window_bits=8, permessage-deflate', ''],
    ['permessage-deflate; server_max_window_bits', undefined],
    ['permessage-deflate; client_max_window_bits=16', undefined],
    ['permessage-deflate; client_max_window_bits=08', undefined],
    ['permessage-deflate; unknown', undefined],
    ['permessage-deflate; server_no_context_takeover=1', undefined],
    ['permessage-bzip2, x-webkit-deflate-frame', undefined],
    ['permessage-deflate; a=1; a=2', undefined],
    [';;', undefined],
  ]
  for (const [offered, expected] of answers) {
    const whole = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
    const answer = acceptDeflate(offered, compression)?.answer
    assert.equal(answer, expected === undefined ? undefined : whole + expected, offered)
  }
  assert.equal(
    acceptDeflate('permessage-deflate; server_max_window_bits=10', compression)?.agreed.windowBits,
    10,
  )
  assert.equal(acceptDeflate(offerDeflate(), undefined), undefined)
})

test('agreeDeflate takes what was offered and promised, and nothing else', () => {
  const alone = 'permessage-deflate; server_no_context_takeover'
  assert.deepEqual(agreeDeflate(alone, deflateDefaults), { windowBits: 15 })
  assert.deepEqual(agreeDeflate(`${alone}; client_max_window_bits=9`, deflateDefaults), {
    windowBits: 9,
  })
  assert.deepEqual(agreeDeflate(`${alone}; client_max_window_bits=8`, deflateDefaults), {
    windowBits: 8,
  })
  assert.equal(agreeDeflate(undefined, deflateDefaults), undefined)
  for (const answer of [
    'permessage-deflate',
    `${alone}, ${alone}`,
    `${alone}; client_max_window_bits`,
    `${alone}; server_max_window_bits=7`,
    `${alone}; other`,
    'other',
    '',
  ]) {
    assert.throws(
      () => agreeDeflate(answer, deflateDefaults),
      { code: 'ERR_WRONG_PROTOCOL' },
      answer,
    )
  }
})

test('parseExtensions takes 16 extensions and refuses one more', () => {
  const list = (count: number): string => Array.from({ length: count }, () => 'x').join(',')
  assert.equal(parseExtensions(list(16))?.length, 16)
  assert.equal(parseExtensions(list(17)), undefined)
})
