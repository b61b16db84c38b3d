/** heddle's HTTP client in HTTP/2: its whole stack around each call, one connection. */
import { httpAgent, httpClient } from '../../src/doors/http.ts'
import { callInLoops, type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { clientConcurrency, UPSTREAM_BODY } from '../suites/payloads.ts'

const { upstreamPort, variant } = peerSettings()

async function run({ mode, milliseconds }: PeerRun): Promise<RunResult> {
  const origin = `http://127.0.0.1:${upstreamPort}`
  const options = { version: '2', pool: { max: 1 } } as const
  const concurrency = clientConcurrency[mode]
  if (variant === 'fetch') {
    await using agent = httpAgent(options)
    return await callInLoops(milliseconds, concurrency, UPSTREAM_BODY.length, async () => {
      const response = await agent.fetch(origin)
      return (await response.text()).length
    })
  }
  await using client = httpClient(origin, options)
  return await callInLoops(milliseconds, concurrency, UPSTREAM_BODY.length, async () => {
    const response = await client.request({ target: '/' })
    return (await response.body.text()).length
  })
}

ready({}, run)
