// A reader that stops: the sender is held up, and does not fill anybody's memory.
import { fetchHandler, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const CHUNK = new Uint8Array(64 * 1024)
const TOTAL = 64 * 1024 * 1024
let given = 0
const answer = () =>
  new Response(
    new ReadableStream<Uint8Array>({
      pull(controller) {
        given += CHUNK.length
        controller.enqueue(CHUNK.slice())
        if (given === TOTAL) controller.close()
      },
    }),
  )
await using server = httpServer(fetchHandler(answer))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`)

const response = await client.get('/')
let taken = 0
for await (const piece of response.body) {
  taken += piece.length
  if (taken > piece.length) continue
  // After the first piece nothing is read until the sender has come to a standstill.
  for (let before = -1, still = 0; still < 200; still = given === before ? still + 1 : 0) {
    before = given
    await new Promise((resolve) => setImmediate(resolve))
  }
  // What it gave beyond what was taken lies in buffers, nearly all of them the kernel's.
  console.log(given < TOTAL) // true
}
console.log(taken === TOTAL) // true
