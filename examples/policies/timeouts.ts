// A server that never answers: an attempt is given up, tried again, and the call ends at its deadline.
import { type HeddleError, type HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using server = httpServer(
  (_request, context) =>
    new Promise<HttpResponse>((_resolve, reject) => void context.onCancel(reject)),
  { requestTimeoutMs: 60_000 }, // what the server itself allows
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`, {
  timeoutMs: 30_000, // of calls that bring no deadline of their own
  attemptTimeoutMs: 150, // then another endpoint is asked, if the call may be made again
  retry: { backoff: 'fixed', baseMs: 20 },
  pool: { connectTimeoutMs: 5_000, idleTimeoutMs: 4_000 }, // each its own clock
})
const patient = await client.get('/').catch((error: HeddleError) => error)
console.log(codeOf(patient)) // ERR_ATTEMPT_TIMEOUT after 3 attempts
const hasty = await client.get('/', { timeoutMs: 30 }).catch((error: HeddleError) => error)
console.log(codeOf(hasty)) // ERR_DEADLINE after 1 attempts

function codeOf(outcome: HttpResponse | HeddleError): string {
  if (!('code' in outcome)) return String(outcome.status)
  return `${outcome.code} after ${outcome.attempts.length + 1} attempts`
}
