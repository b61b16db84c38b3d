import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress } from '../core/address.ts'
import { readEndpointSlice, selectEndpoints } from './endpoint-slice.ts'

const slice = (init: object, name = 's') =>
  readEndpointSlice({
    metadata: { name },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 80 }],
    ...init,
  })

const select = (slices: ReturnType<typeof slice>[], port?: string, family?: 4 | 6) =>
  selectEndpoints(slices, port, family).map(({ address }) => formatAddress(address))

test('selectEndpoints takes ready endpoints, unset being ready', () => {
  const endpoints = [
    { addresses: ['10.0.0.1'] },
    { addresses: ['10.0.0.2'], conditions: { ready: true } },
    { addresses: ['10.0.0.3'], conditions: { ready: null } },
    { addresses: ['10.0.0.4'], conditions: { ready: false, serving: true, terminating: true } },
    { addresses: ['10.0.0.5'], conditions: { ready: false } },
    { addresses: [] },
  ]
  assert.deepEqual(select([slice({ endpoints })]), ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'])
})

test('selectEndpoints takes those that still serve while they terminate when none is ready', () => {
  const endpoints = [
    { addresses: ['10.0.0.4'], conditions: { ready: false, serving: true, terminating: true } },
    { addresses: ['10.0.0.5'], conditions: { ready: false, serving: false, terminating: true } },
    { addresses: ['10.0.0.6'], conditions: { ready: false, serving: true, terminating: false } },
  ]
  assert.deepEqual(select([slice({ endpoints })]), ['10.0.0.4:80'])
})

test('selectEndpoints counts a pod once, in the family that is wanted', () => {
  const pod = (address: string, uid: string) => ({
    addresses: [address],
    targetRef: { kind: 'Pod', name: 'p', uid },
  })
  const four = slice({ endpoints: [pod('10.0.0.1', 'a')] }, 'four')
  const six = slice(
    { addressType: 'IPv6', endpoints: [pod('fd00::1', 'a'), pod('fd00::2', 'b')] },
    'six',
  )
  assert.deepEqual(select([six, four]), ['10.0.0.1:80', '[fd00::2]:80'])
  assert.deepEqual(select([six, four], undefined, 6), ['[fd00::1]:80', '[fd00::2]:80'])
  assert.deepEqual(select([six, four], undefined, 4), ['10.0.0.1:80'])
})

test('selectEndpoints counts an address in two slices once, ready if it is in one of them', () => {
  const old = slice({ endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: false } }] }, 'a')
  const now = slice({ endpoints: [{ addresses: ['10.0.0.1'] }] }, 'b')
  assert.deepEqual(select([old, now]), ['10.0.0.1:80'])
  assert.deepEqual(select([now, old]), ['10.0.0.1:80'])
})

test('selectEndpoints finds ports by name, by number, or the only one', () => {
  const endpoints = [{ addresses: ['10.0.0.1'] }]
  const two = slice({
    endpoints,
    ports: [
      { name: 'http', port: 80 },
      { name: 'grpc', port: 90 },
    ],
  })
  assert.deepEqual(select([two], 'grpc'), ['10.0.0.1:90'])
  assert.deepEqual(select([two], '80'), ['10.0.0.1:80'])
  assert.throws(() => select([two]), /s has the ports http, grpc: the target must name one/)
  assert.throws(() => select([two], 'https'), /s has no port https, it has http, grpc/)
  const all = slice({ endpoints, ports: null })
  assert.deepEqual(select([all], '8080'), ['10.0.0.1:8080'])
  assert.throws(() => select([all]), /must name one/)
  // Slices differ while a port of the pods changes.
  const other = slice({
    endpoints: [{ addresses: ['10.0.0.2'] }],
    ports: [{ name: 'http', port: 81 }],
  })
  assert.deepEqual(select([two, other], 'http'), ['10.0.0.1:80', '10.0.0.2:81'])
})

test('selectEndpoints makes the zone the locality', () => {
  const found = selectEndpoints(
    [slice({ endpoints: [{ addresses: ['10.0.0.1'], zone: 'eu-1a' }] })],
    undefined,
    undefined,
  )
  assert.deepEqual(found[0]?.locality, 'eu-1a')
})
