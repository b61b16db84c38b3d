/** node:http2's client, one session. */
import { once } from 'node:events'
import { connect } from 'node:http2'
import { callInLoops, type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { clientConcurrency, UPSTREAM_BODY } from '../suites/payloads.ts'

const { upstreamPort } = peerSettings()

async function run({ mode, milliseconds }: PeerRun): Promise<RunResult> {
  const session = connect(`http://127.0.0.1:${upstreamPort}`)
  await once(session, 'connect')
  const call = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':path': '/' })
      let text = ''
      stream.setEncoding('utf8')
      stream.on('data', (chunk: string) => {
        text += chunk
      })
      stream.on('end', () => resolve(text.length))
      stream.on('error', reject)
    })
  try {
    return await callInLoops(milliseconds, clientConcurrency[mode], UPSTREAM_BODY.length, call)
  } finally {
    session.destroy()
  }
}

ready({}, run)
