/** The parts of `heddle top` that are pure: numbers, cells, columns, keys. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clean, fit, widthOf } from './cells.ts'
import { type Column, Columns } from './columns.ts'
import { readKeys } from './keys.ts'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatMs,
  formatRate,
  formatShare,
  UNKNOWN,
} from './numbers.ts'
import { adminUrl } from './top.ts'
import { sparkline } from './view.ts'

test('numbers are short and steady in width', () => {
  const table: [made: string, expected: string][] = [
    [formatCount(0), '0'],
    [formatCount(9_999), '9999'],
    [formatCount(9_999.5), '10.0k'],
    [formatCount(999_499), '999k'],
    [formatCount(999_500), '1.00M'],
    [formatCount(2.5e9), '2.50G'],
    [formatRate(0), '0'],
    [formatRate(0.04), '0.0'],
    [formatRate(9.94), '9.9'],
    [formatRate(12.3), '12'],
    [formatMs(0.123), '0.12ms'],
    [formatMs(9.994), '9.99ms'],
    [formatMs(99.96), '100ms'],
    [formatMs(999.4), '999ms'],
    [formatMs(1_250), '1.25s'],
    [formatShare(1), '100%'],
    [formatShare(0.99999), '99.99%'],
    [formatShare(0.995), '99.50%'],
    [formatShare(0.5), '50%'],
    [formatShare(0.012), '1.2%'],
    [formatShare(0), '0%'],
    [formatDuration(59_999), '59s'],
    [formatDuration(192_000), '3m12s'],
    [formatDuration(18_180_000), '5h03m'],
    [formatDuration(1_051_200_000), '12d04h'],
    [formatBytes(812_400), '812K'],
    [formatBytes(84_200_000), '84.2M'],
    [formatBytes(1.2e9), '1.20G'],
  ]
  for (const [made, expected] of table) assert.equal(made, expected)
  for (const format of [formatCount, formatRate, formatMs, formatShare, formatDuration]) {
    assert.equal(format(undefined), UNKNOWN)
    assert.equal(format(null), UNKNOWN)
  }
})

test('clean leaves nothing that a terminal obeys or that hides text', () => {
  assert.equal(clean('a\u001b[31mred\u001b[0m\r\nb\u0007\u009b2J'), 'a [31mred [0m  b  2J')
  assert.equal(clean('safe\u202etxt.exe\u200b'), 'safetxt.exe')
})

test('fit cuts and pads to cells, wide characters being two', () => {
  assert.equal(fit('abc', 5), 'abc  ')
  assert.equal(fit('abc', 5, 'right'), '  abc')
  assert.equal(fit('abcdef', 4), 'abc…')
  assert.equal(fit('abc', 0), '')
  assert.equal(fit('日本語', 6), '日本語')
  assert.equal(fit('日本語', 5), '日本…')
  assert.equal(fit('日本語', 4), '日 …')
  assert.equal(widthOf('e\u0301'), 1)
  assert.equal(widthOf('🚀'), 2)
})

test('Columns gives up the least important columns and widens a flexible one', () => {
  interface Row {
    name: string
    rate: string
    note: string
  }
  const columns: Column<Row>[] = [
    { title: 'NAME', width: 6, order: 0, flexible: true, text: (row) => row.name },
    { title: 'RATE', width: 4, order: 1, align: 'right', text: (row) => row.rate },
    { title: 'NOTE', width: 5, order: 2, flexible: true, text: (row) => row.note },
  ]
  const row = { name: 'users', rate: '12', note: 'it is well' }
  const at = (width: number): string[] => {
    const table = new Columns(columns, width)
    return [table.head(), table.row(row)]
  }
  assert.deepEqual(at(24), ['NAME    RATE  NOTE      ', 'users     12  it is well'])
  assert.deepEqual(at(19), ['NAME    RATE  NOTE ', 'users     12  it i…'])
  assert.deepEqual(at(18), ['NAME          RATE', 'users           12'])
  assert.deepEqual(at(11), ['NAME       ', 'users      '])
  assert.deepEqual(at(1), ['NAME  ', 'users '])
})

test('readKeys names keys and leaves out what nobody knows', () => {
  const input = 'q\u001b[A\u001bOB\u001b[5~\u001b[1;5C\r\u007f\u0003é\u001b\t'
  const keys = ['q', 'up', 'down', 'pageup', 'enter', 'backspace', 'ctrl-c', 'é', 'escape']
  assert.deepEqual(readKeys(input), keys)
  assert.deepEqual(readKeys(''), [])
})

test('sparkline shows the last values against the highest', () => {
  assert.equal(sparkline([0, 1, 4, 8], 6), '   ▂▅█')
  assert.equal(sparkline([1, 1, 1, 8, 4], 2), '█▅')
  assert.equal(sparkline([], 3), '   ')
})

test('adminUrl reads ports, addresses, sockets and URLs', () => {
  const table: [given: string, url: string][] = [
    ['9901', 'http://127.0.0.1:9901'],
    ['gateway:9000', 'http://gateway:9000'],
    ['gateway', 'http://gateway:9901'],
    ['[::1]:9000', 'http://[::1]:9000'],
    ['unix:/run/heddle.sock', 'http+unix:/run/heddle.sock'],
    ['https://admin.internal/', 'https://admin.internal'],
  ]
  for (const [given, url] of table) assert.equal(adminUrl(given), url)
  assert.throws(() => adminUrl('not an address'), { code: 'ERR_ADDRESS_INVALID' })
})
