// A policy service decides, as Open Policy Agent would. It goes down: nobody gets in.
import { authorize, HttpResponse, httpClient, httpServer, policyService } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using opa = httpServer(async (request) => {
  const { input } = (await request.body.json()) as { input: { action: string; resource: string } }
  return HttpResponse.json({ result: input.action === 'GET' && input.resource.startsWith('/open') })
})
const where = (await opa.listen(tcp(), 'tcp://127.0.0.1:0')).address
await using questions = httpClient(`http://127.0.0.1:${where.kind === 'ip' ? where.port : 0}`, {
  retry: false,
})
const policy = policyService(questions, '/v1/data/app/allow', { allowTtlMs: 0, timeoutMs: 500 })

await using server = httpServer(() => HttpResponse.text('done'), {
  authorization: authorize(policy),
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`)

console.log((await client.get('/open/1')).status, (await client.get('/closed')).status) // 200 403
await opa.close()
console.log((await client.get('/open/1')).status) // 403
