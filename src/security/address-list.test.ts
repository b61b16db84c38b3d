import assert from 'node:assert/strict'
import { BlockList, isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { ip, unix } from '../core/address.ts'
import { AddressList, type AddressListOptions, addressList } from './address-list.ts'

test('AddressList lets in and refuses', () => {
  const table: [options: AddressListOptions, admitted: string[], refused: string[]][] = [
    [{}, ['1.2.3.4', '::1', 'nonsense'], []],
    [{ allow: [], deny: [] }, ['1.2.3.4'], []],
    [
      { allow: ['10.0.0.0/8'] },
      ['10.0.0.0', '10.255.255.255'],
      ['9.255.255.255', '11.0.0.0', '::1'],
    ],
    [
      { deny: ['10.0.0.0/8'] },
      ['9.255.255.255', '11.0.0.0', '::1'],
      ['10.0.0.0', '10.255.255.255'],
    ],
    [
      { allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16', '10.0.0.1'] },
      ['10.8.0.1'],
      ['10.9.1.1', '10.0.0.1'],
    ],
    [{ deny: ['10.0.0.1'], allow: ['10.0.0.1'] }, [], ['10.0.0.1']],
    // A client of a dual-stack socket is the same client, and so is a block in that form.
    [
      { allow: ['192.0.2.0/24'] },
      ['::ffff:192.0.2.9', '::ffff:c000:209'],
      ['::ffff:192.0.3.9', '::192.0.2.9'],
    ],
    [{ deny: ['::ffff:192.0.2.0/120'] }, ['192.0.3.1'], ['192.0.2.1', '::ffff:192.0.2.1']],
    [{ allow: ['::/0'] }, ['::1', 'fe80::1%eth0'], ['1.2.3.4', '::ffff:1.2.3.4']],
    [{ allow: ['0.0.0.0/0'] }, ['255.255.255.255', '0.0.0.0'], ['::1']],
    [{ allow: ['2001:db8::/33'] }, ['2001:db8:7fff:ffff::1'], ['2001:db8:8000::', '2001:db7::']],
    [{ allow: ['fe80::/10'] }, ['fe80::1%eth0', 'febf::1'], ['fec0::1']],
    // Host bits are ignored, as everywhere.
    [{ allow: ['10.1.2.3/8'] }, ['10.200.0.1'], ['11.0.0.0']],
    [{ deny: ['1.2.3.4'] }, [], ['', 'localhost', '1.2.3', '01.2.3.4', '1.2.3.4.5']],
  ]
  for (const [options, admitted, refused] of table) {
    const list = new AddressList(options)
    for (const address of admitted) assert.equal(list.refusal(address), undefined, address)
    for (const address of refused) assert.notEqual(list.refusal(address), undefined, address)
  }
})

test('addressList refuses with an error, and has no opinion on what is not IP', () => {
  const admit = addressList({ allow: ['10.0.0.0/8'], deny: ['10.0.0.1'] })
  assert.equal(admit(ip('10.0.0.2', 1)), undefined)
  assert.equal(admit(unix('/run/x')), undefined)
  assert.match(String(admit(ip('10.0.0.1', 1))), /10\.0\.0\.1 is on the deny list/)
  const refused = admit(ip('1.1.1.1', 1)) as { code?: string }
  assert.equal(refused.code, 'ERR_FORBIDDEN')
})

test('AddressList refuses entries that are no blocks, naming them', () => {
  for (const bad of [
    '',
    'localhost',
    '10.0.0.0/33',
    '::/129',
    '10.1',
    '0x0a000001',
    '010.0.0.1',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '::1/x',
  ]) {
    for (const option of ['allow', 'deny'] as const) {
      assert.throws(() => new AddressList({ [option]: [bad] }), {
        code: 'ERR_ARGUMENT',
        message: `${option}: '${bad}' is not an address or block such as 10.0.0.0/8`,
      })
    }
  }
})

test('AddressList finds what a plain walk over the blocks finds', () => {
  const v4 = fc.ipV4()
  const v6 = fc.ipV6().filter((text) => !text.startsWith('::ffff:') && isIPv6(text))
  const block = fc.oneof(
    fc.tuple(v4, fc.integer({ min: 0, max: 32 })),
    fc.tuple(v6, fc.integer({ min: 0, max: 128 })),
  )
  // Near the edges of a block is where a mistake shows.
  fc.assert(
    fc.property(
      fc.array(block, { minLength: 1, maxLength: 30 }),
      fc.array(fc.oneof(v4, v6)),
      (blocks, more) => {
        // One for each family: Node's lets blocks of IPv6 match mapped addresses of IPv4.
        const reference = { ipv4: new BlockList(), ipv6: new BlockList() }
        for (const [host, bits] of blocks) {
          const family = isIPv6(host) ? 'ipv6' : 'ipv4'
          reference[family].addSubnet(host, bits, family)
        }
        const list = new AddressList({ allow: blocks.map(([host, bits]) => `${host}/${bits}`) })
        for (const address of [...blocks.map(([host]) => host), ...more]) {
          const family = isIPv6(address) ? 'ipv6' : 'ipv4'
          const expected = reference[family].check(address, family)
          assert.equal(list.refusal(address) === undefined, expected, address)
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('AddressList of 10,000 blocks looks at a few of them only', () => {
  const blocks = Array.from({ length: 10_000 }, (_, at) => `10.${at >> 8}.${at & 255}.0/25`)
  const list = new AddressList({ deny: blocks })
  assert.notEqual(list.refusal('10.39.15.127'), undefined)
  assert.equal(list.refusal('10.39.15.128'), undefined)
  assert.equal(list.refusal('10.39.16.1'), undefined)
})
