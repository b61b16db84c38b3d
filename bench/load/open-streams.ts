/**
 * Opens streams of one HTTP/2 connection whose answers wait, and keeps them open. With `node:http2`:
 * its own memory is in nobody's figure.
 */
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import type { StreamsJob } from './jobs.ts'

let session: ClientHttp2Session | undefined
let streams: ClientHttp2Stream[] = []
let failure: Error | undefined

export async function openStreams({ port, path, streams: count }: StreamsJob): Promise<void> {
  // 10 MB by default, which many streams exceed.
  const opened = connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1_000 })
  session = opened
  failure = undefined
  const fail = (error: Error): void => {
    failure ??= error
  }
  opened.on('error', fail)
  // Until then it believes that 100 streams are allowed.
  await once(opened, 'remoteSettings')
  streams = Array.from({ length: count }, () => opened.request({ ':path': path }))
  for (const stream of streams) stream.on('error', fail)
  // Streams begin in the order of their numbers: an answer to the last says that all are open.
  const last = opened.request({ ':path': '/' })
  last.on('error', fail)
  last.resume()
  await once(last, 'close')
  if (failure !== undefined) throw failure
  if (!last.readableEnded) throw new Error('the server closed the connection')
}

/** How many are still open. */
export function releaseStreams(): number {
  const open = streams.filter((stream) => !stream.closed && !stream.pending).length
  streams = []
  session?.destroy()
  session = undefined
  return open
}
