import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDuration, parseSize } from './quantity.ts'

test('parseDuration reads a number with its unit', () => {
  const cases: [string, number | undefined][] = [
    ['250ms', 250],
    ['0.25s', 250],
    ['0.3s', 300],
    ['1.5h', 5_400_000],
    ['5m', 300_000],
    ['2d', 172_800_000],
    ['0s', 0],
    ['100d', 8_640_000_000],
    ['101d', undefined],
    ['30', undefined],
    ['-1s', undefined],
    ['1 s', undefined],
    ['1e3ms', undefined],
    ['s', undefined],
    ['', undefined],
    ['1S', undefined],
  ]
  for (const [text, expected] of cases) assert.equal(parseDuration(text), expected, text)
})

test('parseSize reads bytes and both families of units', () => {
  const cases: [string | number, number | undefined][] = [
    [0, 0],
    [65_536, 65_536],
    ['512B', 512],
    ['16KiB', 16_384],
    ['1.5MiB', 1_572_864],
    ['10MB', 10_000_000],
    ['1kB', 1_000],
    ['65536', 65_536],
    [-1, undefined],
    [1.5, undefined],
    ['9007199254740993GiB', undefined],
    ['1 KiB', undefined],
    ['KiB', undefined],
  ]
  for (const [value, expected] of cases) assert.equal(parseSize(value), expected, String(value))
})
