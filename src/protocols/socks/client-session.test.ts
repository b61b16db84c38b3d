import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HeddleError } from '../../core/errors.ts'
import { SocksClientSession } from './client-session.ts'
import type { SocksEvent } from './messages.ts'
import type { SocksOptions } from './options.ts'

const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(/[^0-9a-f]/g, ''), 'hex'))
const asHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** What a proxy answers, and what it must have been told before each answer. */
interface Script {
  readonly name: string
  readonly options: SocksOptions
  readonly host: string
  readonly port: number
  readonly steps: readonly (readonly [told: string, answer: string])[]
  readonly bound: readonly [string, number]
}

const SCRIPTS: readonly Script[] = [
  {
    name: '5, a name, no authentication',
    options: {},
    host: 'a.example',
    port: 443,
    steps: [
      // version 5, 1 method, none; chosen: none
      ['05 01 00', '05 00'],
      // connect, reserved, name of 9, port 443; granted, IPv4 10.0.0.1:8080
      ['05 01 00 03 09 61 2e 65 78 61 6d 70 6c 65 01 bb', '05 00 00 01 0a 00 00 01 1f 90'],
    ],
    bound: ['10.0.0.1', 8080],
  },
  {
    name: '5, IPv4, user name and password',
    options: { username: 'me', password: 'pw' },
    host: '192.0.2.1',
    port: 80,
    steps: [
      ['05 02 00 02', '05 02'],
      ['01 02 6d 65 02 70 77', '01 00'],
      ['05 01 00 01 c0 00 02 01 00 50', '05 00 00 04 00000000 00000000 00000000 00000001 00 07'],
    ],
    bound: ['::1', 7],
  },
  {
    name: '5, IPv6, bound to a name',
    options: { username: 'me' },
    host: '2001:db8::1',
    port: 1,
    steps: [
      ['05 02 00 02', '05 00'],
      ['05 01 00 04 20010db8 00000000 00000000 00000001 00 01', '05 00 00 03 02 68 69 00 09'],
    ],
    bound: ['hi', 9],
  },
  {
    name: '4, IPv4',
    options: { version: 4, username: 'me' },
    host: '192.0.2.1',
    port: 80,
    steps: [['04 01 00 50 c0 00 02 01 6d 65 00', '00 5a 00 50 0a 00 00 01']],
    bound: ['10.0.0.1', 80],
  },
  {
    name: '4a, a name',
    options: { version: 4 },
    host: 'hi',
    port: 80,
    steps: [['04 01 00 50 00 00 00 01 00 68 69 00', '00 5a 00 00 00 00 00 00']],
    bound: ['0.0.0.0', 0],
  },
]

function start({ options, host, port }: Script): SocksClientSession {
  const session = new SocksClientSession(options)
  session.submit({ type: 'connect', host, port }, 0)
  return session
}

function told(session: SocksClientSession): string {
  return asHex(session.pollTransmit(0).take())
}

for (const script of SCRIPTS) {
  for (const step of [1, 3, Number.POSITIVE_INFINITY]) {
    test(`SocksClientSession ${script.name}, ${step} bytes at a time`, () => {
      const session = start(script)
      let event: SocksEvent | undefined
      script.steps.forEach(([expected, answer], index) => {
        assert.equal(told(session), asHex(hex(expected)))
        let bytes = hex(answer)
        // What the target says first comes right behind the last answer.
        if (index === script.steps.length - 1) bytes = Buffer.concat([bytes, Buffer.from('hello')])
        for (let at = 0; at < bytes.length && session.state === 'opening'; at += step) {
          session.receive(bytes.slice(at, at + step), 0)
          event = session.pollEvent()
          if (session.state === 'opening') assert.equal(event, undefined)
        }
      })
      const [host, port] = script.bound
      assert.deepEqual(event, { type: 'connected', host, port })
      assert.equal(session.state, 'detached')
      assert.equal(session.pollEvent(), undefined)
      const unread = Buffer.from(session.takeUnread()).toString()
      assert.ok('hello'.startsWith(unread))
      if (step === Number.POSITIVE_INFINITY) assert.equal(unread, 'hello')
    })
  }

  test(`SocksClientSession ${script.name}, truncated at every byte`, () => {
    const answers = script.steps.map(([, answer]) => hex(answer))
    const total = answers.reduce((sum, { length }) => sum + length, 0)
    for (let length = 0; length < total; length++) {
      const session = start(script)
      let left = length
      for (const answer of answers) {
        session.receive(answer.slice(0, left), 0)
        assert.equal(session.pollEvent(), undefined)
        left = Math.max(0, left - answer.length)
      }
      session.receiveEnd(0)
      const event = session.pollEvent()
      assert.equal(event?.type, 'failed')
      assert.equal(session.state, 'closed')
      assert.equal(session.failure?.code, 'ERR_PROXY')
      assert.equal(session.failure?.sent, 'nothing')
    }
  })
}

test('SocksClientSession keeps no view of a chunk', () => {
  const session = start(SCRIPTS[0] as Script)
  const first = hex('05 00')
  session.receive(first.subarray(0, 1), 0)
  session.pollEvent()
  first.fill(0xff, 0, 1)
  session.receive(Uint8Array.of(0), 0)
  assert.equal(session.pollEvent(), undefined)
  assert.equal(session.failure, undefined)
})

const REFUSALS: readonly [string, SocksOptions, readonly string[], string, RegExp][] = [
  ['no acceptable method', {}, ['05 ff'], 'ERR_PROXY', /wants authentication, and none was given/],
  ['a method not offered', {}, ['05 02'], 'ERR_MALFORMED', /method 2/],
  ['GSSAPI', { username: 'a' }, ['05 01'], 'ERR_MALFORMED', /method 1/],
  ['wrong credentials', { username: 'a' }, ['05 02', '01 01'], 'ERR_PROXY', /credentials/],
  ['another protocol', {}, ['48 54'], 'ERR_MALFORMED', /version 72/],
  ['connection refused', {}, ['05 00', '05 05'], 'ERR_PROXY', /refused by the target/],
  ['not allowed', {}, ['05 00', '05 02'], 'ERR_PROXY', /does not allow/],
  ['an unknown reply', {}, ['05 00', '05 63'], 'ERR_PROXY', /said 99/],
  ['an unknown address', {}, ['05 00', '05 00 00 02 00'], 'ERR_MALFORMED', /address type 2/],
  ['4: rejected', { version: 4 }, ['00 5b'], 'ERR_PROXY', /rejected/],
  ['4: another version', { version: 4 }, ['04 5a'], 'ERR_MALFORMED', /version 4, not 0/],
]
for (const [name, options, answers, code, message] of REFUSALS) {
  test(`SocksClientSession fails on ${name}`, () => {
    const session = start({ ...(SCRIPTS[0] as Script), options })
    let event: SocksEvent | undefined
    for (const answer of answers) {
      session.receive(hex(answer), 0)
      event ??= session.pollEvent()
    }
    assert.equal(event?.type, 'failed')
    const error = session.failure as HeddleError
    assert.equal(error.code, code)
    assert.match(error.message, message)
    assert.equal(error.sent, 'nothing')
    session.receive(hex('05 00'), 0)
    assert.equal(session.pollEvent(), undefined)
  })
}

test('SocksClientSession refuses what SOCKS cannot carry, at the limit and one past it', () => {
  const long = (length: number): string => 'x'.repeat(length)
  new SocksClientSession({ username: long(255), password: long(255) })
  assert.throws(() => new SocksClientSession({ username: long(256) }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => new SocksClientSession({ username: '' }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => new SocksClientSession({ username: 'a', password: long(256) }), {
    code: 'ERR_OPTION_RANGE',
  })
  assert.throws(() => new SocksClientSession({ password: 'a' }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => new SocksClientSession({ version: 4, password: 'a' }), {
    code: 'ERR_OPTION_UNSUPPORTED',
  })
  assert.throws(() => new SocksClientSession({ version: 4, username: 'a\0' }), {
    code: 'ERR_ARGUMENT',
  })
  const connect = (host: string, port = 1, version: 4 | 5 = 5): void =>
    new SocksClientSession({ version }).submit({ type: 'connect', host, port }, 0)
  connect(long(255))
  for (const host of ['', long(256), 'a\0b']) {
    assert.throws(() => connect(host), { code: 'ERR_ARGUMENT' })
  }
  connect('a', 65_535)
  for (const port of [0, 65_536, 1.5]) assert.throws(() => connect('a', port))
  assert.throws(() => connect('::1', 1, 4), { code: 'ERR_ARGUMENT' })
})
