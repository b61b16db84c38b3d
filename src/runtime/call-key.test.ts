import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../core/address.ts'
import type { Connection } from '../core/connection.ts'
import { Call } from '../core/context.ts'
import { byAddress, byConnection, byPrincipal, hostKey } from './call-key.ts'

const from = (host: string, id = 7): Call =>
  new Call({ connection: { id, facts: { remote: ip(host, 1234) } } as unknown as Connection })

test('hostKey is the network of an IPv6 address', () => {
  for (const [host, prefix, key] of [
    ['192.0.2.1', 64, '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', 64, '2001:db8:1:2/64'],
    ['2001:db8:1:2:ffff::1', 64, '2001:db8:1:2/64'],
    ['2001:db8:1:2ff::', 56, '2001:db8:1:200/56'],
    ['2001:db8::1', 128, '2001:db8:0:0:0:0:0:1/128'],
    ['2001:db8::1', 1, '0/1'],
    ['fe80::1%eth0', 64, 'fe80:0:0:0/64'],
    ['::ffff:192.0.2.1', 64, '192.0.2.1'],
    ['not an address:', 64, 'not an address:'],
  ] as const) {
    assert.equal(hostKey(host, prefix), key)
  }
})

test('keys are made of connection, address and principal', () => {
  const call = from('2001:db8::9')
  assert.equal(byConnection(undefined, call), '7')
  assert.equal(byAddress()(undefined, call), '2001:db8:0:0/64')
  assert.equal(byAddress({ ipv6Prefix: 48 })(undefined, call), '2001:db8:0/48')
  assert.equal(byPrincipal()(undefined, call), 'address 2001:db8:0:0/64')
  const principal = { id: 'eve', method: 'basic', roles: [], attributes: {} }
  assert.equal(byPrincipal()(undefined, new Call({ principal }, call)), 'basic eve')
  assert.equal(byAddress()(undefined, new Call()), '')
  assert.throws(() => byAddress({ ipv6Prefix: 129 }), { code: 'ERR_OPTION_RANGE' })
})
