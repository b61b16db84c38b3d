/** Starts `bench/peers/websocket-bare.ts` for a client to talk to: what it does is not the client's. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { FromPeer } from '../harness/peer.ts'

/** @returns its port; it ends with this process */
export async function startBareEcho(): Promise<number> {
  const path = fileURLToPath(new URL('../peers/websocket-bare.ts', import.meta.url))
  const child = fork(path, ['{}'], { execArgv: ['--disable-warning=ExperimentalWarning'] })
  const [message] = (await once(child, 'message')) as [FromPeer]
  if (message.type !== 'ready') throw new Error('the echo did not start')
  child.unref()
  child.channel?.unref()
  return message.port
}

/** Messages in flight on the one connection. */
export const CLIENT_DEPTH = 64
