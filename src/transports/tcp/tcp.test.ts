import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import type { Connection, ConnectionHandler } from '../../core/connection.ts'
import { tcp } from './tcp.ts'

test('tcp echoes', async () => {
  const t = tcp()
  const l = await t.listen(ip('127.0.0.1', 0), {
    onConnection(c: Connection) {
      const h: ConnectionHandler = {
        onData(d) {
          c.write(d.slice())
        },
        onDrain() {},
        onEnd() {
          c.end()
        },
        onClose() {},
      }
      c.open(h)
    },
  })
  const c = await t.connect(l.address)
  const got: number[] = []
  const closed = new Promise<Error | undefined>((resolve) =>
    c.open({
      onData(d) {
        got.push(...d)
        c.end()
      },
      onDrain() {},
      onEnd() {},
      onClose(r) {
        resolve(r)
      },
    }),
  )
  c.write(Uint8Array.of(1, 2, 3))
  assert.equal(await closed, undefined)
  assert.deepEqual(got, [1, 2, 3])
  await l.close()
})
