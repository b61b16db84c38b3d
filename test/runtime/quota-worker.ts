/** A worker thread of `pool-workers.test.ts`: an HTTP client with a share of a bound on connections. */
import { parentPort, workerData } from 'node:worker_threads'
import { httpClient } from '../../src/clients/http/http-client.ts'
import type { PoolLimits } from '../../src/runtime/pool-options.ts'
import { QuotaParticipant, type QuotaShare } from '../../src/runtime/pool-quota.ts'

interface Data {
  readonly origin: string
  readonly share?: QuotaShare
  readonly pool?: PoolLimits
}

/** `calls`: makes so many at once and tells when all are over. `hold`: begins so many. */
export interface Order {
  readonly type: 'calls' | 'hold'
  readonly count: number
}

const { origin, share, pool } = workerData as Data
const client = httpClient(origin, {
  ...(pool && { pool }),
  ...(share && { connectionQuota: new QuotaParticipant(share) }),
})

parentPort?.on('message', async ({ type, count }: Order) => {
  const requests = Array.from({ length: count }, () => client.get(`/${type}`))
  if (type === 'hold') return
  const statuses = await Promise.allSettled(
    requests.map(async (request) => {
      const response = await request
      await response.body.text()
      return response.status
    }),
  )
  parentPort?.postMessage(statuses.filter(({ status }) => status === 'fulfilled').length)
})
parentPort?.postMessage('ready')
