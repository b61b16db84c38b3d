import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../../core/errors.ts'
import { HttpFields, listElements, listHasToken } from './fields.ts'

/** The same fields as a received block, as a list and as they were set. */
function kinds(): HttpFields[] {
  const block =
    'Host: a\r\nAccept: x\r\nACCEPT: y\r\nSet-Cookie: c=1\r\nset-cookie: d=2\r\nEmpty: \r\n'
  const offsets: number[] = []
  for (const match of block.matchAll(/([\w-]+): (.*)\r\n/g)) {
    const start = match.index
    const value = start + (match[1] as string).length + 2
    offsets.push(start, value - 2, value, value + (match[2] as string).length)
  }
  const received = HttpFields.fromBlock(block, offsets)
  return [
    received,
    new HttpFields(received),
    new HttpFields([...received]),
    HttpFields.fromTrusted(received.toFlat()),
  ]
}

test('HttpFields finds values without case, joins lists, keeps cookies apart', () => {
  for (const fields of kinds()) {
    assert.equal(fields.size, 6)
    assert.equal(fields.get('host'), 'a')
    assert.equal(fields.get('accept'), 'x, y')
    assert.deepEqual(fields.getAll('accept'), ['x', 'y'])
    assert.equal(fields.get('set-cookie'), 'c=1')
    assert.deepEqual(fields.getAll('set-cookie'), ['c=1', 'd=2'])
    assert.equal(fields.get('empty'), '')
    assert.equal(fields.get('hos'), undefined)
    assert.equal(fields.has('host'), true)
    assert.equal(fields.has('nothing'), false)
    assert.equal(fields.hasToken('accept', 'y'), true)
    assert.equal(fields.hasToken('accept', 'z'), false)
    assert.equal(fields.nameAt(2), 'ACCEPT')
    assert.equal(fields.valueAt(2), 'y')
  }
})

test('HttpFields changes: set keeps the first place, delete takes all, a copy is its own', () => {
  for (const fields of kinds()) {
    const copy = new HttpFields(fields)
    fields.set('Accept', 'z').append('X', '1').set('Y', '2')
    assert.equal(fields.delete('Set-Cookie'), true)
    assert.equal(fields.delete('set-cookie'), false)
    assert.deepEqual(
      [...fields],
      [
        ['Host', 'a'],
        ['Accept', 'z'],
        ['Empty', ''],
        ['X', '1'],
        ['Y', '2'],
      ],
    )
    assert.equal(copy.size, 6)
    const seen: string[] = []
    fields.forEach((name, value) => void seen.push(`${name}=${value}`))
    assert.equal(seen.join(), 'Host=a,Accept=z,Empty=,X=1,Y=2')
  }
})

test('HttpFields takes records, with lists of values', () => {
  assert.deepEqual(
    [...new HttpFields({ a: '1', b: ['2', '3'] })],
    [
      ['a', '1'],
      ['b', '2'],
      ['b', '3'],
    ],
  )
})

test('HttpFields refuses what could not be sent', () => {
  for (const name of ['', 'a b', 'a:', 'ä', 'a\r\nb']) {
    assert.throws(() => new HttpFields({ [name]: 'x' }), UsageError, JSON.stringify(name))
  }
  for (const value of ['a\r\nb: c', 'a\nb', 'a\0', 'a\x7f', 'a\u0100']) {
    assert.throws(() => new HttpFields().set('a', value), UsageError, JSON.stringify(value))
  }
  assert.equal(new HttpFields({ a: 'tab\tand \xe9' }).get('a'), 'tab\tand \xe9')
})

test('listHasToken sees elements between space and tab only', () => {
  for (const list of ['close', 'CLOSE', 'a, Close', ' \tclose\t ,b', 'a,,close']) {
    assert.equal(listHasToken(list, 'close'), true, list)
  }
  for (const list of [
    '',
    'closed',
    'xclose',
    'clo se',
    '\xa0close',
    'close\xa0',
    'close;q=1',
    '"close"',
  ]) {
    assert.equal(listHasToken(list, 'close'), false, list)
  }
  assert.deepEqual(listElements('A ,\tb,, \xa0c'), ['a', 'b', '', '\xa0c'])
})

test('HttpFields of a shared list change a copy of it', () => {
  const list = Object.freeze(['a', '1', 'B', '2'])
  const changes: ((fields: HttpFields) => void)[] = [
    (fields) => fields.append('c', '3'),
    (fields) => fields.set('a', '3'),
    (fields) => fields.delete('b'),
    (fields) => fields.toFlat().push('c', '3'),
    (fields) => new HttpFields(fields).set('b', '3'),
  ]
  for (const change of changes) {
    const fields = HttpFields.fromShared(list)
    change(fields)
    change(fields)
    assert.deepEqual(list, ['a', '1', 'B', '2'])
    assert.equal(HttpFields.fromShared(list).get('b'), '2')
  }
  const fields = HttpFields.fromShared(list).set('a', '3').append('c', '4')
  fields.delete('b')
  assert.deepEqual(
    [...fields],
    [
      ['a', '3'],
      ['c', '4'],
    ],
  )
})
