/**
 * What one property of the datagram kit runs in: sockets with their logs.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { BindOptions, DatagramTransport } from '../../core/datagram-socket.ts'
import { HeddleError } from '../../core/errors.ts'
import { KitWorld, type TurnLimits } from '../kit-world.ts'
import type { LeakProbes } from '../leak-check.ts'
import { type DatagramHooks, DatagramLog } from './datagram-log.ts'

/** Made anew for each property. */
export interface DatagramFixture {
  readonly transport: DatagramTransport
  /** Where to bind. As port 0. */
  readonly address: Address
  readonly clock: Clock
  /** Lets whatever is under way go on. Called until a condition holds, a limited number of times. */
  turn(): Promise<void>
  /** Counts that must be back where they were. */
  readonly leaks?: LeakProbes
  dispose?(): void | Promise<void>
}

export interface DatagramProperty {
  readonly name: string
  run(world: DatagramWorld): Promise<void>
}

export class DatagramWorld extends KitWorld<DatagramFixture, TurnLimits> {
  readonly #logs: DatagramLog[] = []

  /** A bound socket that is not open. */
  async bind(options: BindOptions = {}, at?: Address): Promise<DatagramLog> {
    const { transport, address } = this.fixture
    const binding = transport.bind(at ?? address, options)
    return this.#log(await this.resolved(binding))
  }

  /** … and one that is. */
  async bound(hooks: DatagramHooks = {}, at?: Address): Promise<DatagramLog> {
    const log = await this.bind({}, at)
    log.hooks = hooks
    return log.open()
  }

  async connected(to: Address, hooks: DatagramHooks = {}): Promise<DatagramLog> {
    const socket = await this.resolved(this.fixture.transport.connect(to))
    const log = this.#log(socket)
    log.hooks = hooks
    return log.open()
  }

  /** Waits until `log` has heard `count` datagrams. */
  async heard(log: DatagramLog, count: number): Promise<void> {
    await this.until(() => log.heard.length >= count, `${count} datagrams arrive`)
  }

  async closed(log: DatagramLog): Promise<void> {
    await this.resolved(log.close())
  }

  /** The code of what `call` throws; fails when it throws nothing. */
  thrown(call: () => unknown, what: string): HeddleError {
    try {
      call()
    } catch (error) {
      if (error instanceof HeddleError) return error
      throw error
    }
    this.ok(false, `${what} did not throw`)
    throw new Error('not reached')
  }

  async tearDown(): Promise<void> {
    await this.resolved(Promise.all(this.#logs.map((log) => log.socket.close())))
    await this.quiet()
    await this.fixture.dispose?.()
    for (const log of this.#logs) {
      const violation = log.violations[0]
      this.ok(violation === undefined, `contract: ${violation}`)
      const changed = log.heard.find((one) => JSON.stringify(one.from) !== one.fromText)
      this.ok(changed === undefined, `contract: ${changed?.fromText} changed after onDatagram`)
    }
  }

  #log(socket: DatagramLog['socket']): DatagramLog {
    const log = new DatagramLog(socket)
    this.#logs.push(log)
    return log
  }
}
