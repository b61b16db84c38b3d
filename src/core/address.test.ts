import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Address,
  bracketHost,
  formatAddress,
  ip,
  memory,
  parseAddress,
  unix,
} from './address.ts'

const TEXTS: readonly (readonly [text: string, address: Address])[] = [
  ['127.0.0.1:80', ip('127.0.0.1', 80)],
  ['a.example:65535', ip('a.example', 65_535)],
  ['[::1]:0', ip('::1', 0)],
  ['[fe80::1%eth0]:8080', ip('fe80::1%eth0', 8_080)],
  ['unix:/run/x.sock', unix('/run/x.sock')],
  ['unix:relative.sock', unix('relative.sock')],
  ['unix-abstract:name', { kind: 'unix', path: 'name', abstract: true }],
  ['mem:name', memory('name')],
  ['redis://h:1/0', { kind: 'url', url: 'redis://h:1/0' }],
]

test('parseAddress reads what formatAddress writes', () => {
  for (const [text, address] of TEXTS) {
    assert.deepEqual(parseAddress(text), address, text)
    assert.equal(formatAddress(address), text)
  }
})

test('parseAddress reads schemes, a missing host and a default port', () => {
  assert.deepEqual(parseAddress('tcp://h:1'), ip('h', 1))
  assert.deepEqual(parseAddress('TLS://h:1/'), ip('h', 1))
  assert.deepEqual(parseAddress('udp://[::1]:53'), ip('::1', 53))
  assert.deepEqual(parseAddress(':8080'), ip('127.0.0.1', 8_080))
  assert.deepEqual(parseAddress('h', 443), ip('h', 443))
  assert.deepEqual(parseAddress('[::1]', 443), ip('::1', 443))
  assert.deepEqual(parseAddress('unix:///run/x.sock'), unix('/run/x.sock'))
})

test('parseAddress refuses what it cannot understand, and says what it expected', () => {
  const bad: readonly (readonly [text: string, expected: RegExp])[] = [
    ['h', /expected a port/],
    ['h:65536', /expected a port of 0 to 65535/],
    ['h:99999', /expected a port of 0 to 65535/],
    ['h:port', /host:port/],
    ['::1:80', /IPv6 host in brackets/],
    ['[::1:80', /IPv6 host in brackets/],
    ['h h:80', /host:port/],
    ['tcp://h:1/path', /host:port/],
    ['unix:', /a name after the colon/],
    ['unix-abstract:', /a name after the colon/],
    ['mem:', /a name after the colon/],
  ]
  for (const [text, message] of bad) {
    assert.throws(() => parseAddress(text), { name: 'UsageError', code: 'ERR_ADDRESS_INVALID' })
    assert.throws(() => parseAddress(text), message)
    assert.throws(
      () => parseAddress(text),
      (error: Error) => error.message.includes(`'${text}'`),
    )
  }
})

test('bracketHost puts IPv6 alone in brackets', () => {
  assert.deepEqual(['h', '1.2.3.4', '::1', 'fe80::1%1'].map(bracketHost), [
    'h',
    '1.2.3.4',
    '[::1]',
    '[fe80::1%1]',
  ])
})
