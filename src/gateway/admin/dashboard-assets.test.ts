import assert from 'node:assert/strict'
import test from 'node:test'
import { loadDashboard } from './dashboard-assets.ts'

type Format = Record<string, (value: number | null | undefined, ...more: string[]) => string>
interface ErrorRow {
  time: number
  code: string
  message: string
  where: string
  route: string | null
  requestId: string
}
type Scale = (value: number) => number

// Plain JavaScript for the browser, without types.
const load = async (file: string): Promise<unknown> =>
  await import(new URL(`dashboard/${file}`, import.meta.url).href)
const format = (await load('format.js')) as Format & { niceCeiling: Scale }
const tables = (await load('tables.js')) as {
  groupErrors(list: ErrorRow[]): (ErrorRow & { key: string; count: number })[]
}
const chart = (await load('chart.js')) as {
  linePath(values: (number | null)[], x: Scale, y: Scale): string
  areaPath(low: number[], high: (number | null)[], x: Scale, y: Scale): string
}

test('loadDashboard has every file that a file refers to', () => {
  const assets = loadDashboard()
  for (const [path, { bytes, type }] of assets) {
    assert.ok(bytes.length > 0, path)
    if (!type.startsWith('text/javascript')) continue
    const source = new TextDecoder().decode(bytes)
    for (const [, file] of source.matchAll(/from '\.\/([^']+)'/g)) {
      assert.ok(assets.has(`/${file}`), `${path} imports ${file}`)
    }
  }
})

test('loadDashboard refers to nothing elsewhere', () => {
  for (const [path, { bytes }] of loadDashboard()) {
    const source = new TextDecoder().decode(bytes)
    const foreign = [...source.matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([url]) => url)
    // Names of XML and examples for people are not loaded.
    const loaded = foreign.filter((url) => !/w3\.org|127\.0\.0\.1|localhost|\$\{/.test(url))
    assert.deepEqual(loaded, [], path)
    assert.doesNotMatch(source, /@import|url\(/, path)
  }
})

test('dashboard format shows numbers as people read them', () => {
  const table: [string, number | null, string][] = [
    ['formatCount', 0, '0'],
    ['formatCount', 12_340, '12,340'],
    ['formatCount', 1_250_000, '1.25 M'],
    ['formatCount', null, '–'],
    ['formatRate', 0.44, '0.4'],
    ['formatRate', 812.3, '812'],
    ['formatMs', 0.844, '0.84 ms'],
    ['formatMs', 12.34, '12.3 ms'],
    ['formatMs', 250.4, '250 ms'],
    ['formatMs', 1_250, '1.25 s'],
    ['formatMs', 12_500, '12.5 s'],
    ['formatMs', null, '–'],
    ['formatShare', 1, '100 %'],
    ['formatShare', 0.999_999, '99.99 %'],
    ['formatShare', 0.9712, '97.1 %'],
    ['formatShare', 0.5, '50 %'],
    ['formatShare', 0.012, '1.2 %'],
    ['formatShare', 0, '0 %'],
    ['formatDuration', 4_900, '4 s'],
    ['formatDuration', 192_000, '3 min 12 s'],
    ['formatDuration', 18_180_000, '5 h 3 min'],
    ['formatDuration', 1_051_200_000, '12 d 4 h'],
    ['formatDuration', -5, '0 s'],
    ['formatBytes', 84_200_000, '84.2 MB'],
    ['formatAxisMs', 12.5, '12.5 ms'],
    ['formatAxisMs', 2_000, '2 s'],
    ['formatAxisMs', 0, '0'],
    ['formatAxisCount', 1_500, '1,500'],
  ]
  for (const [name, value, expected] of table) {
    const shown = format[name]?.(value)
    assert.equal(shown?.replaceAll('\u00a0', ' '), expected, `${name} ${value}`)
  }
  assert.equal(format['plural']?.(1, 'request'), '1 request')
  assert.equal(format['plural']?.(2, 'request'), '2 requests')
})

test('dashboard scale ends at a round number that four steps divide', () => {
  const table: [number, number][] = [
    [0, 1],
    [0.3, 0.3],
    [0.31, 0.4],
    [1, 1],
    [1.01, 1.2],
    [1.7, 2],
    [1_050, 1_200],
    [31, 40],
    [59, 60],
    [640, 800],
    [999, 1_000],
    [Number.NaN, 1],
  ]
  for (const [value, top] of table) {
    assert.ok(Math.abs(format.niceCeiling(value) - top) < 1e-9, `${value} → ${top}`)
  }
})

test('dashboard groups errors that follow one another', () => {
  const error = (time: number, code: string, message: string): ErrorRow => ({
    time,
    code,
    message,
    where: 'cluster a',
    route: null,
    requestId: `r${time}`,
  })
  const list = [error(4, 'X', 'four'), error(3, 'X', 'three'), error(2, 'Y', 'two')]
  const shown = tables.groupErrors([...list, error(1, 'X', 'one')])
  assert.deepEqual(
    shown.map(({ key, count, message }) => [key, count, message]),
    [
      ['3 r3 X', 2, 'four'],
      ['2 r2 Y', 1, 'two'],
      ['1 r1 X', 1, 'one'],
    ],
  )
})

test('dashboard chart paths have a gap where nothing is known', () => {
  const x = (back: number): number => 100 - back
  const y = (value: number): number => 10 - value
  assert.equal(chart.linePath([1, 2, null, 4], x, y), 'M97.0 9.0L98.0 8.0M100.0 6.0')
  assert.equal(
    chart.areaPath([0, 0, 0, 1], [1, 2, null, 4], x, y),
    'M97.0 9.0L98.0 8.0L98.0 10.0L97.0 10.0ZM100.0 6.0L100.0 9.0Z',
  )
  assert.equal(chart.linePath([], x, y), '')
  assert.equal(chart.areaPath([], [], x, y), '')
})
