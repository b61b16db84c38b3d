/**
 * An HTTP peer that a test writes byte by byte, over the memory transport: it breaks off where no
 * server of ours would.
 */
import type { Connection } from '../../src/core/connection.ts'
import type { Transport } from '../../src/core/transport.ts'

export interface RawExchange {
  readonly connection: Connection
  /** Everything that arrived on the connection so far. */
  received(): string
  write(text: string): void
  /** The connection is reset. */
  reset(): void
}

/** Names of the memory transport are the process's: each test takes its own. */
export function newName(): string {
  return `pain-${++names}`
}

/** Calls `onData` whenever something arrived; one exchange is one connection. */
export async function rawPeer(
  transport: Transport,
  name: string,
  onData: (exchange: RawExchange, index: number) => void,
): Promise<void> {
  let connections = 0
  await transport.listen(
    { kind: 'memory', name },
    {
      onConnection(connection) {
        const index = connections++
        let text = ''
        const exchange: RawExchange = {
          connection,
          received: () => text,
          write: (answer) => void connection.write(new TextEncoder().encode(answer)),
          reset: () => connection.destroy(new Error('reset by the test')),
        }
        connection.open({
          onData(chunk) {
            text += new TextDecoder().decode(chunk)
            onData(exchange, index)
          },
          onDrain() {},
          onEnd() {},
          onClose() {},
        })
      },
    },
  )
}

let names = 0
