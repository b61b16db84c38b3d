/**
 * Clients, a splicing proxy and an echo server over a bad network: what comes back is the beginning
 * of what was sent, all of it when both sides closed cleanly, and no pair of connections is left.
 */
import { memory as address } from '../../src/core/address.ts'
import type { Connection, ConnectionHandler } from '../../src/core/connection.ts'
import { TimeoutError } from '../../src/core/errors.ts'
import { splice } from '../../src/runtime/splice.ts'
import type { Simulation } from '../../src/testing/simulation.ts'
import { ConnectionLog, pattern } from '../../src/testing/transport/connection-log.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'

export async function simulate(simulation: Simulation): Promise<void> {
  const { clock, random } = simulation
  const network = new MemoryNetwork()
  const inner = memory({
    clock,
    network,
    strict: true,
    random: random.fork().next,
    maxChunkBytes: random.pick([100, 65_536]),
    bufferBytes: random.pick([1_000, 65_536]),
    highWaterMarkBytes: random.pick([0, 16_384]),
    maxDelayMs: random.pick([0, 5]),
  })
  const bad = simulation.transport(inner)
  let opened = 0
  let done = 0
  const wrong: string[] = []
  const echo = inner.listen(address('echo'), { onConnection: (one) => one.open(new Echo(one)) })
  const proxy = inner.listen(address('proxy'), {
    onConnection(downstream) {
      opened += 1
      bad.connect(address('echo')).then(
        (upstream) => {
          splice(downstream, upstream, {
            clock,
            idleTimeoutMs: 30_000,
            onDone: (outcome) => {
              done += 1
              if (outcome.reason === undefined && outcome.bytesFromA !== outcome.bytesFromB) {
                wrong.push(`${outcome.bytesFromA} bytes one way, ${outcome.bytesFromB} the other`)
              }
            },
          })
        },
        (error: Error) => {
          done += 1
          downstream.destroy(error)
        },
      )
    },
  })
  await clock.settle()
  const listeners = await Promise.all([echo, proxy])

  const clients = random.integer(1, 8)
  let finished = 0
  for (let key = 0; key < clients; key++) {
    simulation.later(500, () => {
      runClient(simulation, bad.connect(address('proxy')), key).then(
        (detail) => {
          finished += 1
          simulation.note(`client ${key}: ${detail}`)
        },
        (error: Error) => {
          finished += 1
          wrong.push(error.message)
        },
      )
    })
  }
  await simulation.until(() => finished === clients, 600_000, 'all clients are finished')
  await simulation.until(() => done === opened, 600_000, 'all splices are done')
  simulation.check(wrong.length === 0, wrong.join('; '))
  let closed = 0
  for (const listener of listeners) {
    void listener.close({ signal: AbortSignal.abort() }).then(() => closed++)
  }
  await simulation.until(() => closed === 2, 60_000, 'listeners are closed')
  await clock.advanceAsync(60_000)
  simulation.check(clock.pendingTimers === 0, `${clock.pendingTimers} timers left`)
  simulation.check(network.leaseCount === 0, `${network.leaseCount} leases left`)
}

async function runClient(
  simulation: Simulation,
  connecting: Promise<Connection>,
  key: number,
): Promise<string> {
  const total = simulation.random.pick([0, 1, 5_000, 300_000])
  let connection: Connection
  try {
    connection = await connecting
  } catch (error) {
    return `not connected: ${(error as { code?: string }).code}`
  }
  return new Promise((resolve, reject) => {
    let sent = 0
    const more = (): void => {
      while (sent < total) {
        const chunk = pattern(key, sent, Math.min(9_000, total - sent))
        sent += chunk.length
        if (!log.send(chunk)) return
      }
      connection.end()
    }
    const log = new ConnectionLog(connection, {
      onDrain: more,
      onClose(reason) {
        timer.cancel()
        const [violation] = log.violations
        if (violation !== undefined) return reject(new Error(`client ${key}: ${violation}`))
        const whole = log.received === total
        if (reason === undefined && !whole) {
          return reject(new Error(`client ${key}: clean close after ${log.received} of ${total}`))
        }
        resolve(`${log.received} of ${total}, ${(reason as { code?: string } | undefined)?.code}`)
      },
    })
    log.expectedKey = key
    const { clock } = simulation
    // A peer that fell silent towards this side alone is noticed by nobody else.
    const gaveUp = new TimeoutError('ERR_IDLE', 'gave up')
    const timer = clock.setTimer(clock.now() + 300_000, () => connection.destroy(gaveUp))
    log.open()
    more()
  })
}

/** Sends back what comes, at the pace of its own writes. */
class Echo implements ConnectionHandler {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  onData(chunk: Uint8Array): void {
    if (!this.#connection.write(chunk.slice())) this.#connection.pause()
  }
  onDrain(): void {
    this.#connection.resume()
  }
  onEnd(): void {
    this.#connection.end()
  }
  onClose(): void {}
}
