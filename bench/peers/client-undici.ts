/** undici's `request` on an Agent, and its `Client` with `pipelining: 10` for one connection. */
import { Agent, Client, type Dispatcher, request } from 'undici'
import { callInLoops, type PeerRun, type RunResult, ready } from '../harness/peer.ts'
import { clientConcurrency, UPSTREAM_BODY } from '../suites/payloads.ts'

async function run({ mode, port, milliseconds }: PeerRun): Promise<RunResult> {
  const origin = `http://127.0.0.1:${port}`
  const concurrency = clientConcurrency[mode]
  const dispatcher: Dispatcher =
    mode === 'pipelined'
      ? new Client(origin, { pipelining: concurrency })
      : new Agent({ connections: concurrency, pipelining: 1 })
  const options = { method: 'GET' as const, path: '/' }
  const call = async (): Promise<number> => {
    const { body } =
      mode === 'pipelined'
        ? await dispatcher.request({ ...options, origin })
        : await request(`${origin}/`, { dispatcher })
    return (await body.text()).length
  }
  try {
    return await callInLoops(milliseconds, concurrency, UPSTREAM_BODY.length, call)
  } finally {
    await dispatcher.destroy()
  }
}

ready({}, run)
