/** `node:http` with a keep-alive agent. It cannot pipeline: `pipelined` is one connection. */
import { Agent, get } from 'node:http'
import { callInLoops, type PeerRun, type RunResult, ready } from '../harness/peer.ts'
import { clientConcurrency, UPSTREAM_BODY } from '../suites/payloads.ts'

async function run({ mode, port, milliseconds }: PeerRun): Promise<RunResult> {
  const concurrency = clientConcurrency[mode]
  const maxSockets = mode === 'pipelined' ? 1 : concurrency
  const agent = new Agent({ keepAlive: true, maxSockets })
  const call = (): Promise<number> =>
    new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port, path: '/', agent }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve(text.length))
        response.on('error', reject)
      }).on('error', reject)
    })
  try {
    return await callInLoops(milliseconds, concurrency, UPSTREAM_BODY.length, call)
  } finally {
    agent.destroy()
  }
}

ready({}, run)
