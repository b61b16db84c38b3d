/**
 * Blocks of 256 bytes from one connection to another in this process, one way: decoded, and verified
 * or not. With verification the figure is that of OpenSSL's Ed25519. The seed's own figures are
 * 10,000 messages a second on TCP, 15,000 on Unix sockets, 8,000 on WebSocket.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlockConnection } from '../../src/links/blocks/block-connection.ts'
import { blocksFor } from '../../src/links/blocks/blocks-for.ts'
import { ed25519Key, nodeSigning } from '../../src/platform/node-signing.ts'
import type { Block } from '../../src/protocols/olocus/block.ts'
import { createGenesis } from '../../src/protocols/olocus/create.ts'
import { bytesPayload } from '../../src/protocols/olocus/payload.ts'
import { WireFormat } from '../../src/protocols/olocus/wire-format.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const key = ed25519Key(new Uint8Array(32).fill(7))
const timestamp = Math.floor(Date.now() / 1_000)
const block = createGenesis(bytesPayload(new Uint8Array(256).fill(1)), {
  key,
  host: nodeSigning,
  timestamp,
}) as Block
const json = WireFormat.json()
const binary = WireFormat.binary()

export const benchmark: Benchmark = {
  about: 'blocks of 256 B one way over one connection, received by `onBlock`',
  variants: {
    TCP: () => over('tcp://127.0.0.1:0', binary, false),
    'TCP, verified': () => over('tcp://127.0.0.1:0', binary, true),
    Unix: () => over('unix', binary, false),
    'Unix, verified': () => over('unix', binary, true),
    'WebSocket, JSON text': () => over('ws://127.0.0.1:0/', json, false),
    'WebSocket, JSON text, verified': () => over('ws://127.0.0.1:0/', json, true),
    'WebSocket, binary': () => over('ws://127.0.0.1:0/', binary, false),
  },
}

async function over(url: string, format: WireFormat, verify: boolean): Promise<Variant> {
  const folder = url === 'unix' ? mkdtempSync(join(tmpdir(), 'heddle-')) : undefined
  const at = folder === undefined ? url : `unix:${join(folder, 's')}`
  const transport = blocksFor(at, { format, verify })
  const listener = await transport.listen(at)
  const client = (await transport.connect(listener.localAddr)) as BlockConnection
  const server = await listener.accept()
  let left = 0
  let done: (() => void) | undefined
  server.onBlock(() => {
    left -= 1
    if (left === 0) done?.()
  })
  return {
    async run(count) {
      left = count
      const finished = new Promise<void>((resolve) => {
        done = resolve
      })
      for (let sent = 0; sent < count; sent++) {
        // The promise of one that had room is there already: only those that had none are waited for.
        const sending = client.sendBlock(block)
        if (sent % 64 === 63) await sending
      }
      await finished
    },
    async close() {
      client.destroy()
      server.destroy()
      await listener.close()
      if (folder !== undefined) rmSync(folder, { recursive: true })
    },
  }
}
