import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, memory, unix } from '../../core/address.ts'
import { listeningUrl, webSocketTarget } from './websocket-address.ts'

const url = (text: string) => ({ kind: 'url' as const, url: text })

test('webSocketTarget reads ws, wss and ws+unix URLs', () => {
  const { carrier, address, authority, target } = webSocketTarget(url('ws://a.example/x?y=1'), '/')
  assert.deepEqual(
    [carrier, address, authority, target],
    ['plain', ip('a.example', 80), 'a.example', '/x?y=1'],
  )
  const secure = webSocketTarget(url('wss://[::1]:8443'), '/')
  assert.deepEqual(
    [secure.carrier, secure.address, secure.authority, secure.target],
    ['secure', ip('::1', 8443), '[::1]:8443', '/'],
  )
  assert.deepEqual(webSocketTarget(url('wss://a.example'), '/').address, ip('a.example', 443))
  for (const [text, resource] of [
    ['ws+unix:/run/app.sock:/feed?a', '/feed?a'],
    ['ws+unix:///run/app.sock', '/'],
  ] as const) {
    const local = webSocketTarget(url(text), '/')
    assert.deepEqual(
      [local.carrier, local.address, local.target],
      ['unix', unix('/run/app.sock'), resource],
    )
  }
})

test('webSocketTarget takes the transport’s path where an address has none', () => {
  assert.equal(webSocketTarget(ip('::1', 80), '/feed').authority, '[::1]:80')
  for (const address of [ip('a', 1), unix('/s'), memory('m')]) {
    assert.equal(webSocketTarget(address, '/feed').target, '/feed')
  }
})

test('webSocketTarget keeps credentials of a URL out of its authority', () => {
  const { authority, credentials } = webSocketTarget(url('ws://u:p%40ss@a.example/'), '/')
  assert.deepEqual([authority, credentials], ['a.example', 'u:p@ss'])
})

test('webSocketTarget refuses other schemes, fragments and nonsense, without the password', () => {
  for (const text of [
    'http://a/',
    'ws://',
    'ws://a/#x',
    'ws+unix:',
    'ws+unix:/s:x',
    'ws+unix::/x',
    'ws://%E0%A4%A:x@a/',
    'ws://u:%ff@a/',
  ]) {
    assert.throws(() => webSocketTarget(url(text), '/'), { code: 'ERR_ADDRESS_INVALID' }, text)
  }
  assert.throws(
    () => webSocketTarget(url('http://u:secret@a/'), '/'),
    (error: Error) => !error.message.includes('secret'),
  )
})

test('listeningUrl names the port that was given', () => {
  const at = ip('127.0.0.1', 4_321)
  assert.equal(listeningUrl('ws://127.0.0.1:0/a?b', at), 'ws://127.0.0.1:4321/a?b')
  assert.equal(listeningUrl('ws://127.0.0.1:0', at), 'ws://127.0.0.1:4321')
  assert.equal(listeningUrl('wss://[::1]:0/', ip('::1', 5)), 'wss://[::1]:5/')
  assert.equal(listeningUrl('ws+unix:/s:/x', unix('/s')), 'ws+unix:/s:/x')
})
