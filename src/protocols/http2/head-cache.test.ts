import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { SeededRandom } from '../../core/seeded-random.ts'
import { HttpFields } from '../http/fields.ts'
import { FieldWriter } from './field-writer.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { FRAME_HEADER_BYTES } from './messages.ts'

interface Written {
  readonly list: string[]
  readonly bytes: number
}

/** A writer of responses, and who reads them. */
function pair(tableBytes = 4_096) {
  const out = new ByteWriter()
  const writer = new FieldWriter(out, tableBytes)
  const decoder = new HpackDecoder()
  const read = (): Written => {
    const frame = out.take()
    const list: string[] = []
    assert.equal(decoder.decode(frame.subarray(FRAME_HEADER_BYTES), list), 'ok')
    return { list, bytes: frame.length - FRAME_HEADER_BYTES }
  }
  return {
    writer,
    writeTrailers(fields: string[]): Written {
      const given = HttpFields.fromTrusted(fields)
      writer.begin(given)
      writer.trailers(given)
      writer.finish(1, 1)
      return read()
    },
    write(status: number, fields: string[], length?: number, date?: string): Written {
      const given = HttpFields.fromTrusted(fields)
      writer.begin(given)
      writer.response(status, given, length, date)
      writer.finish(1, 0)
      return read()
    },
  }
}

test('a response that comes again is the same few bytes, and means the same', () => {
  const { write } = pair()
  const list = [':status', '200', 'content-type', 'text/plain', 'content-length', '13', 'date', 'd']
  for (let time = 0; time < 6; time++) {
    const written = write(200, ['content-type', 'text/plain'], 13, 'd')
    assert.deepEqual(written.list, list)
    if (time >= 2) assert.equal(written.bytes, 4)
  }
})

test('another status, length, date, name or value is another head', () => {
  const { write } = pair()
  for (let time = 0; time < 5; time++) write(200, ['a', 'b'], 13, 'd')
  assert.equal(write(204, ['a', 'b'], 13, 'd').list[1], '204')
  assert.equal(write(200, ['a', 'b'], 14, 'd').list[5], '14')
  assert.equal(write(200, ['a', 'b'], undefined, 'd').list[4], 'date')
  assert.equal(write(200, ['a', 'b'], 13, 'e').list[7], 'e')
  assert.equal(write(200, ['a', 'c'], 13, 'd').list[3], 'c')
  assert.equal(write(200, ['c', 'b'], 13, 'd').list[2], 'c')
})

test('a list that its owner changes afterwards is not what is compared', () => {
  const { write } = pair()
  const fields = ['a', 'b']
  for (let time = 0; time < 5; time++) write(200, fields, 13, 'd')
  fields[1] = 'c'
  assert.equal(write(200, fields, 13, 'd').list[3], 'c')
})

test('trailers that repeat are as short, between heads of as many fields', () => {
  const { write, writeTrailers } = pair()
  for (let time = 0; time < 6; time++) {
    const head = write(200, ['content-type', 'application/grpc'])
    const trailers = writeTrailers(['grpc-status', '0'])
    assert.deepEqual(head.list, [':status', '200', 'content-type', 'application/grpc'])
    assert.deepEqual(trailers.list, ['grpc-status', '0'])
    if (time >= 2) assert.deepEqual([head.bytes, trailers.bytes], [2, 1])
  }
  assert.deepEqual(writeTrailers(['grpc-status', '5']).list, ['grpc-status', '5'])
})

test('what must never be in a table is written each time', () => {
  const { write } = pair()
  const bytes = [1, 2, 3, 4].map(() => write(200, ['set-cookie', 'secret'], 0, 'd').bytes)
  assert.ok((bytes[3] as number) > 'secret'.length / 2)
})

test('whatever is sent in whatever order is read as it was sent', () => {
  const random = new SeededRandom(11)
  // A small table, so that entries come and go.
  const { writer, write, writeTrailers } = pair(200)
  for (let step = 0; step < 4_000; step++) {
    if (random.integer(0, 199) === 0) writer.setPeerTableBytes(random.pick([0, 100, 200, 4_096]))
    const status = random.pick([200, 200, 200, 404, 299])
    const fields: string[] = []
    for (let left = random.integer(0, 2); left > 0; left--) {
      fields.push(
        random.pick(['content-type', 'x-one', 'set-cookie']),
        random.pick(['text/plain', 'b', 'c']),
      )
    }
    const length = random.pick([13, 13, 13, 14, undefined])
    const date = random.pick(['d', 'd', 'd', 'e', undefined])
    const expected = [':status', String(status), ...fields]
    if (length !== undefined) expected.push('content-length', String(length))
    if (date !== undefined) expected.push('date', date)
    assert.deepEqual(write(status, fields, length, date).list, expected)
    if (random.chance(0.5)) assert.deepEqual(writeTrailers(fields).list, fields)
  }
})
