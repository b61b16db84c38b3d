import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LineRewriter, type LineRewriterOptions } from './line-rewriter.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** As a body does it: each chunk is borrowed, and overwritten behind it. */
function lines(input: string, size: number, options: Partial<LineRewriterOptions> = {}): string[] {
  const seen: string[] = []
  const rewriter = new LineRewriter({
    maxLineBytes: 100,
    map: (line) => {
      seen.push(new TextDecoder().decode(line))
      return options.map?.(line)
    },
    ...('emptyLines' in options && { emptyLines: options.emptyLines ?? false }),
    ...('maxLineBytes' in options && { maxLineBytes: options.maxLineBytes ?? 0 }),
  })
  const bytes = text(input)
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.slice(at, at + size)
    rewriter.push(chunk)
    while (rewriter.next() !== undefined);
    rewriter.hold()
    chunk.fill(0x21)
  }
  rewriter.finish()
  return seen
}

test('LineRewriter finds the same lines however the body is cut', () => {
  const input = 'one\r\n\ntwo\n\r\nthree, longer\nfour'
  for (const size of [1, 2, 3, 5, 8, 100]) {
    assert.deepEqual(lines(input, size), ['one', 'two', 'three, longer', 'four'])
    const all = ['one', '', 'two', '', 'three, longer', 'four']
    assert.deepEqual(lines(input, size, { emptyLines: true }), all)
    assert.deepEqual(lines(`${input}\n`, size), ['one', 'two', 'three, longer', 'four'])
    assert.deepEqual(lines('', size), [])
  }
})

test('LineRewriter keeps lines that nobody has asked for yet', () => {
  const seen: string[] = []
  const rewriter = new LineRewriter({
    maxLineBytes: 100,
    map: (line) => {
      seen.push(new TextDecoder().decode(line))
      return line.slice()
    },
  })
  const chunk = text('a\nb\nc')
  rewriter.push(chunk)
  assert.ok(rewriter.next() !== undefined)
  rewriter.hold()
  chunk.fill(0x21)
  assert.ok(rewriter.next() !== undefined)
  assert.equal(rewriter.next(), undefined)
  rewriter.push(text('d'))
  assert.equal(rewriter.next(), undefined)
  assert.deepEqual(rewriter.finish(), { tail: text('cd') })
  assert.deepEqual(seen, ['a', 'b', 'cd'])
})

test('LineRewriter takes a line of maxLineBytes and not a byte more', () => {
  for (const size of [1, 3, 100]) {
    for (const end of ['', '\n']) {
      assert.deepEqual(lines(`12345${end}`, size, { maxLineBytes: 5 }), ['12345'])
      assert.throws(() => lines(`123456${end}`, size, { maxLineBytes: 5 }), {
        status: 'RESOURCE_EXHAUSTED',
      })
    }
  }
})

test('LineRewriter joins the pieces of a long line once', () => {
  const long = 'x'.repeat(1 << 18)
  assert.deepEqual(lines(long, 64, { maxLineBytes: 1 << 18 }), [long])
})
