/** heddle's `httpClient` as it is: deadline, retries, breaker and pool around every call. */
import { httpClient } from '../../src/doors/http.ts'
import { callInLoops, type PeerRun, type RunResult, ready } from '../harness/peer.ts'
import { clientConcurrency, UPSTREAM_BODY } from '../suites/payloads.ts'

async function run({ mode, port, milliseconds }: PeerRun): Promise<RunResult> {
  const concurrency = clientConcurrency[mode]
  await using client = httpClient(`http://127.0.0.1:${port}`, {
    pool: { max: mode === 'pipelined' ? 1 : concurrency },
    http1: { maxPipelined: mode === 'pipelined' ? concurrency : 1 },
  })
  const call = async (): Promise<number> => {
    const { body } = await client.get('/')
    return (await body.text()).length
  }
  return await callInLoops(milliseconds, concurrency, UPSTREAM_BODY.length, call)
}

ready({}, run)
