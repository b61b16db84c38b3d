/** A process that fills an outbox until it is killed: it prints each id once that is safe. */
import { writeSync } from 'node:fs'
import { openFileLog } from '../../src/platform/file-log.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { openOutbox } from '../../src/runtime/patterns/outbox.ts'

const outbox = await openOutbox({
  log: await openFileLog(process.argv[2] as string),
  clock: systemClock,
  random: Math.random,
  compactAfterBytes: 20_000,
  maxEntries: 1_000_000,
  deliver: async ({ id }) => {
    writeSync(1, `delivered ${id}\n`)
  },
})
for (let count = 0; ; count++) {
  const ids = await Promise.all(
    [1, 2, 3].map((part) =>
      outbox.enqueue(new Uint8Array(300), undefined, `${process.pid}-${count}-${part}`),
    ),
  )
  for (const id of ids) writeSync(1, `safe ${id}\n`)
}
