import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResponseCounter } from './response-counter.ts'

const plain = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
const longer = 'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world'
const empty = 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n'
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
const refused = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno'
const stream = [plain, plain, longer, empty, chunked, plain, refused, refused, longer].join('')

for (const size of [1, 2, 3, 7, 16, 64, stream.length]) {
  test(`ResponseCounter counts the same in pieces of ${size} bytes`, () => {
    const counter = new ResponseCounter()
    const bytes = Buffer.from(stream)
    let count = 0
    for (let at = 0; at < bytes.length; at += size) {
      // A fresh copy that is overwritten afterwards, as a reused read buffer would be.
      const piece = Buffer.from(bytes.subarray(at, at + size))
      count += counter.push(piece)
      piece.fill(0)
    }
    assert.equal(count, 9)
    assert.equal(counter.errors, 2)
  })
}

test('ResponseCounter does not count a response before its last byte', () => {
  const counter = new ResponseCounter()
  assert.equal(counter.push(Buffer.from(plain.slice(0, -1))), 0)
  assert.equal(counter.push(Buffer.from('o')), 1)
})

test('ResponseCounter refuses a response that has no framing', () => {
  const counter = new ResponseCounter()
  assert.throws(() => counter.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')), /neither a length/)
})
