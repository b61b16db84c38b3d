// Two clients, one pool. With `SharedQuota` the bound holds for worker threads as well.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { QuotaParticipant, SharedPools, SharedQuota } from 'heddle/runtime'
import { tcp } from 'heddle/transports/tcp'

await using server = httpServer(() => HttpResponse.text('ok'))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const origin = `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`

const quota = new SharedQuota(2) // `quota.join()` for each worker, `reclaim` when it exits
const options = {
  sharedPools: new SharedPools({ max: 10 }),
  connectionQuota: new QuotaParticipant(quota.join()),
}
await using orders = httpClient(origin, options)
await using users = httpClient(origin, options)
const calls = [1, 2, 3, 4].flatMap((n) => [orders.get(`/${n}`), users.get(`/${n}`)])
const answers = await Promise.all(calls.map(async (call) => (await call).body.text()))
console.log(answers.length, options.sharedPools.size, quota.taken) // 8 1 2
