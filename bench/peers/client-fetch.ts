/** The global `fetch`, which is what most people use: for orientation. */
import { callInLoops, type PeerRun, type RunResult, ready } from '../harness/peer.ts'
import { clientConcurrency, UPSTREAM_BODY } from '../suites/payloads.ts'

function run({ mode, port, milliseconds }: PeerRun): Promise<RunResult> {
  const url = `http://127.0.0.1:${port}/`
  const call = async (): Promise<number> => {
    const response = await fetch(url)
    return (await response.text()).length
  }
  return callInLoops(milliseconds, clientConcurrency[mode], UPSTREAM_BODY.length, call)
}

ready({}, run)
