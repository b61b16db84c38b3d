// The receiver is down while the first process lives. The second one delivers what was promised.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type OutboxMessage, openFileLog, openOutbox } from 'heddle/patterns'
import { systemClock } from 'heddle/runtime'

const folder = await mkdtemp(join(tmpdir(), 'outbox-'))
const open = async (deliver: (message: OutboxMessage) => unknown) =>
  openOutbox({
    log: await openFileLog(join(folder, 'orders.outbox')),
    deliver,
    clock: systemClock,
    random: Math.random,
  })

const first = await open(() => Promise.reject(new Error('down')))
for (const order of ['a', 'b', 'c']) await first.enqueue(new TextEncoder().encode(order))
await first.close()

const delivered: string[] = []
const second = await open(({ body }) => delivered.push(new TextDecoder().decode(body)))
await second.drained()
console.log(delivered.join(' '), second.stats.waiting) // a b c 0
await second.close()
await rm(folder, { recursive: true })
