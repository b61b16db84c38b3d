/** undici's client for HTTP/2 by prior knowledge, one connection. */
import { H2CClient } from 'undici'
import { callInLoops, type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { clientConcurrency, UPSTREAM_BODY } from '../suites/payloads.ts'

const { upstreamPort } = peerSettings()

async function run({ mode, milliseconds }: PeerRun): Promise<RunResult> {
  const concurrency = clientConcurrency[mode]
  const origin = `http://127.0.0.1:${upstreamPort}`
  const client = new H2CClient(origin, {
    pipelining: concurrency,
    maxConcurrentStreams: Math.max(concurrency, 2),
  })
  try {
    return await callInLoops(milliseconds, concurrency, UPSTREAM_BODY.length, async () => {
      const { body } = await client.request({ method: 'GET', path: '/' })
      return (await body.text()).length
    })
  } finally {
    await client.destroy()
  }
}

ready({}, run)
