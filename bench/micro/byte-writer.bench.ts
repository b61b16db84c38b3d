/** One message head of eight short texts, packed by a ByteWriter and by `Buffer.concat`. */
import { ByteWriter } from '../../src/core/byte-writer.ts'
import { nodeText } from '../../src/platform/node-host.ts'
import type { Benchmark } from '../benchmark.ts'

const LINES = Array.from({ length: 8 }, (_, at) => `x-header-${at}: some value of usual length\r\n`)

/** Counts what a flush hands to a connection, and keeps it from being optimised away. */
class Sink {
  readonly writableLength = 0
  writes = 0
  bytes = 0

  write(chunk: Uint8Array): boolean {
    this.writes++
    this.bytes += chunk.length
    return true
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    this.writes++
    for (const chunk of chunks) this.bytes += chunk.length
    return true
  }
}

function withByteWriter(sink: Sink, count: number): void {
  const writer = new ByteWriter({ text: nodeText })
  for (let at = 0; at < count; at++) {
    for (const line of LINES) writer.latin1(line)
    writer.flushTo(sink)
  }
}

function withConcat(sink: Sink, count: number): void {
  for (let at = 0; at < count; at++) {
    sink.write(Buffer.concat(LINES.map((line) => Buffer.from(line, 'latin1'))))
  }
}

export const benchmark: Benchmark = {
  about: 'encodes a head of eight lines and hands it to a connection',
  counters() {
    const sink = new Sink()
    withByteWriter(sink, 100)
    return { 'writes per message': sink.writes / 100, 'bytes per message': sink.bytes / 100 }
  },
  variants: {
    ByteWriter: () => ({ run: (count) => withByteWriter(new Sink(), count) }),
    'Buffer.concat': () => ({ run: (count) => withConcat(new Sink(), count) }),
  },
}
