/**
 * Layers over byte streams, when what they read drips in byte by byte, and when it is cut at every one
 * of its bytes: nothing is taken for an end that is none, nothing is delivered that was not sent.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { HeddleError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { ConnectionLog } from '../../testing/transport/connection-log.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { compressed } from '../compressed/compressed.ts'
import { sealed } from '../sealed/sealed.ts'

type Layer = (carrier: Transport, clock: ManualClock) => Transport

const keys = [{ id: 'a', key: new Uint8Array(32).fill(7) }]
const LAYERS: Readonly<Record<string, Layer>> = {
  sealed: (carrier, clock) => sealed(carrier, { keys, clock }),
  'compressed with LZ4': (carrier, clock) => compressed(carrier, { clock, algorithms: ['lz4'] }),
  'compressed with gzip': (carrier, clock) => compressed(carrier, { clock, algorithms: ['gzip'] }),
}
const TEXTS = ['one', 'two '.repeat(60), 'three']

interface Outcome {
  readonly sent: number
  readonly server: ConnectionLog | undefined
  readonly error: Error | undefined
}

/** A client writes and ends; of what it sends, `limit` bytes come through, `atATime` a chunk. */
async function play(layer: Layer, limit: number, atATime: number): Promise<Outcome> {
  const clock = new ManualClock()
  const carrier = memory({ clock, network: new MemoryNetwork(), maxChunkBytes: atATime })
  let error: Error | undefined
  let server: ConnectionLog | undefined
  const behind = await layer(carrier, clock).listen(address('0'), {
    onConnection: (one) => (server = new ConnectionLog(one).open()),
    onError: (one) => (error = one),
  })
  let sent = 0
  const front = await carrier.listen(address('0'), {
    async onConnection(near) {
      const far = await carrier.connect(behind.address)
      const rest = (chunk: Uint8Array): Uint8Array => chunk.slice(0, Math.max(0, limit - sent))
      relay(near, far, (chunk) => {
        const kept = rest(chunk)
        sent += chunk.length
        return kept
      })
    },
  })
  const connecting = layer(carrier, clock).connect(front.address)
  connecting.catch(() => {})
  await clock.settle()
  if (sent <= limit) {
    const client = new ConnectionLog(await connecting).open()
    for (const text of TEXTS) client.write(text)
    client.connection.end()
    await clock.settle()
  }
  return { sent, server, error }
}

/** Passes both ways; once something is cut, that way ends. */
function relay(near: Connection, far: Connection, cut: (chunk: Uint8Array) => Uint8Array): void {
  let ended = false
  near.open({
    onData(chunk) {
      if (ended) return
      const kept = cut(chunk)
      if (kept.length > 0) far.write(kept)
      if (kept.length === chunk.length) return
      ended = true
      far.end()
    },
    onDrain() {},
    onEnd: () => far.end(),
    onClose: () => far.destroy(),
  })
  far.open({
    onData: (chunk) => void near.write(chunk.slice()),
    onDrain() {},
    onEnd: () => near.end(),
    onClose: () => near.destroy(),
  })
}

for (const [name, layer] of Object.entries(LAYERS)) {
  test(`${name}: a stream that drips in byte by byte arrives whole`, async () => {
    const { server } = await play(layer, Number.POSITIVE_INFINITY, 1)
    assert.equal(server?.text, TEXTS.join(''))
    assert.ok(server.ended)
  })

  test(`${name}: a stream cut at any byte is never a whole one`, async () => {
    const { sent } = await play(layer, Number.POSITIVE_INFINITY, 65_536)
    let ends = 0
    for (let limit = 0; limit < sent; limit++) {
      const { server, error } = await play(layer, limit, 65_536)
      const at = `cut at ${limit} of ${sent}`
      if (server === undefined) {
        assert.ok(error instanceof HeddleError, at)
        continue
      }
      assert.ok(TEXTS.join('').startsWith(server.text), at)
      if (server.ended) ends += 1
      else assert.equal((server.closeReason as HeddleError | undefined)?.code, 'ERR_TRUNCATED', at)
    }
    // Records of `compressed` may stop behind the handshake; a seal has a record for the end.
    assert.equal(ends, name === 'sealed' ? 0 : 1)
  })
}
