import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boundBaggage, formatBaggage, parseBaggage } from './baggage.ts'

test('parseBaggage reads values, properties and escapes', () => {
  const entries = parseBaggage('tenant=a%2Cb;sampled;ttl=3 , region=eu,region=us, empty=')
  assert.deepEqual(
    [...entries],
    [
      ['tenant', { value: 'a,b', properties: 'sampled;ttl=3' }],
      ['region', { value: 'eu', properties: undefined }],
      ['empty', { value: '', properties: undefined }],
    ],
  )
})

test('parseBaggage leaves out what breaks the grammar and keeps the rest', () => {
  const text = 'a=1,no-value,=2,b c=3,d="4",e=5;f=g;;,h=\u0001,i=6'
  assert.deepEqual([...parseBaggage(text).keys()], ['a', 'i'])
})

test('parseBaggage gives U+FFFD for bytes that are no UTF-8', () => {
  assert.equal(parseBaggage('a=x%ffy%E2%82%AC').get('a')?.value, 'x\ufffdy€')
  assert.equal(parseBaggage('a=100%').get('a')?.value, '100%')
})

test('boundBaggage keeps 180 members, not one more', () => {
  const members = (count: number) => Array.from({ length: count }, (_, index) => `k${index}=1`)
  assert.equal(boundBaggage(members(180).join(',')), members(180).join(','))
  assert.equal(boundBaggage(members(181).join(',')), members(180).join(','))
})

test('boundBaggage keeps 8,192 bytes, and drops the member that would be over it', () => {
  const fits = `a=${'x'.repeat(4_000)},b=${'y'.repeat(4_187)}`
  assert.equal(fits.length, 8_192)
  assert.equal(boundBaggage(fits), fits)
  assert.equal(boundBaggage(`${fits}y`), `a=${'x'.repeat(4_000)}`)
  assert.equal(boundBaggage(' , ,'), undefined)
})

test('formatBaggage escapes and refuses what cannot be sent', () => {
  assert.equal(
    formatBaggage(
      new Map<string, string | { value: string; properties: string }>([
        ['a', 'x,;"\\ %€'],
        ['b', { value: '1', properties: 'p=2' }],
      ]),
    ),
    'a=x%2C%3B%22%5C%20%25%E2%82%AC,b=1;p=2',
  )
  assert.throws(() => formatBaggage(new Map([['a b', '1']])), { code: 'ERR_ARGUMENT' })
  const bad = new Map([['a', { value: '1', properties: 'x=\r\n' }]])
  assert.throws(() => formatBaggage(bad), { code: 'ERR_ARGUMENT' })
  const long = new Map([['a', 'x'.repeat(8_191)]])
  assert.throws(() => formatBaggage(long), { code: 'ERR_OPTION_RANGE' })
})

test('property: any value comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (value) => {
      assert.equal(parseBaggage(formatBaggage(new Map([['k', value]]))).get('k')?.value, value)
    }),
  )
})
