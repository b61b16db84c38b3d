// A server that takes two calls at once from each address, and a client whose retry waits its turn.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using server = httpServer(() => HttpResponse.text('done'), {
  rateLimit: { key: 'address', limit: 2, windowMs: 2_000 },
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const origin = `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`

await using impatient = httpClient(origin, { retry: false })
const answers = [await impatient.get('/'), await impatient.get('/'), await impatient.get('/')]
console.log(answers.map(({ status }) => status)) // [ 200, 200, 429 ]
console.log(answers[2]?.fields.get('ratelimit-policy')) // "address";q=2;w=2
console.log(answers[2]?.fields.get('ratelimit')) // "address";r=0;t=1
console.log(answers[2]?.fields.get('retry-after')) // 1

// The refusal says when to come again: the retry of a client waits so long, not less.
await using patient = httpClient(origin)
console.log((await patient.get('/')).status) // 200
