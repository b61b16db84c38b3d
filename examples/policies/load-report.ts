// A server that says how full it is, and a producer of jobs that slows down before it is refused.
import { HttpResponse, httpClient, httpServer, loadReportOf } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const slow = Promise.withResolvers<HttpResponse>()
const begun = Promise.withResolvers<void>()
await using server = httpServer(
  ({ path }) => {
    if (path !== '/slow') return HttpResponse.text('done')
    begun.resolve()
    return slow.promise
  },
  { limiter: { maxConcurrent: 2, maxQueued: 2, report: true } },
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`)

async function send(path: string): Promise<string> {
  const response = await client.get(path)
  const { depth = 0, limit = Number.POSITIVE_INFINITY } = loadReportOf(response.fields) ?? {}
  return `${depth} of ${limit}`
}
console.log(await send('/job')) // 0 of 4
const first = send('/slow')
await begun.promise
console.log(await send('/job')) // 1 of 4
slow.resolve(HttpResponse.text('done'))
console.log(await first) // 0 of 4
