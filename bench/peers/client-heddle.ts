/**
 * heddle's HTTP client: its whole stack (deadline, retry, breaker, balancer, pool) around each call.
 * `fetch`: the fetch API of its agent on top.
 */
import { type HttpClientOptions, httpAgent, httpClient } from '../../src/doors/http.ts'
import { callInLoops, type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { clientConcurrency, UPSTREAM_BODY } from '../suites/payloads.ts'

async function run({ mode, port, milliseconds }: PeerRun): Promise<RunResult> {
  const concurrency = clientConcurrency[mode]
  const options: HttpClientOptions =
    mode === 'pipelined'
      ? { pool: { max: 1, expectedCapacity: concurrency }, http1: { maxPipelined: concurrency } }
      : { pool: { max: concurrency } }
  await using client = httpClient(`http://127.0.0.1:${port}`, options)
  const call = async (): Promise<number> => {
    const response = await client.request({ target: '/' })
    return (await response.body.text()).length
  }
  return await callInLoops(milliseconds, concurrency, UPSTREAM_BODY.length, call)
}

async function runFetch({ mode, port, milliseconds }: PeerRun): Promise<RunResult> {
  const concurrency = clientConcurrency[mode]
  const url = `http://127.0.0.1:${port}/`
  await using agent = httpAgent({ pool: { max: concurrency } })
  const call = async (): Promise<number> => {
    const response = await agent.fetch(url)
    return (await response.text()).length
  }
  return await callInLoops(milliseconds, concurrency, UPSTREAM_BODY.length, call)
}

ready({}, peerSettings().variant === 'fetch' ? runFetch : run)
