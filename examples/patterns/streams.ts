// Both ways at once: each reply goes back while requests still come, and nobody runs ahead.
import { Call } from 'heddle/core'
import { bidirectional, creditChannel } from 'heddle/patterns'

const totals = bidirectional<number, number>(async function* (requests) {
  let total = 0
  for await (const request of requests) yield (total += request)
})
const { writer, source } = creditChannel<number>({ maxItems: 2 })
const replies = await totals(source, new Call())
const sending = (async () => {
  for (const number of [1, 2, 3, 4]) {
    await writer.ready()
    writer.write(number)
  }
  writer.end()
})()
const seen: number[] = []
for await (const reply of replies) seen.push(reply)
await sending
console.log(seen.join(' ')) // 1 3 6 10
