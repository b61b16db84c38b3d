/** A byte stream with toxics in both directions (chaos-path.ts). */
import type { Connection, ConnectionFacts, ConnectionHandler } from '../../core/connection.ts'
import { LayerConnection } from '../layer/layer-connection.ts'
import { ChaosPath, type ChaosSettings } from './chaos-path.ts'

export class ChaosConnection extends LayerConnection implements ConnectionHandler {
  readonly id: number
  readonly facts: ConnectionFacts
  readonly #carrier: Connection
  readonly #path: ChaosPath
  #opened = false

  constructor(
    carrier: Connection,
    settings: ChaosSettings,
    seed: number,
    onGone: (gone: ChaosConnection) => void,
  ) {
    super(settings.clock)
    this.id = carrier.id
    this.facts = carrier.facts
    this.#carrier = carrier
    const isReading = (): boolean => this.reading
    const isOver = (): boolean => this.over
    this.#path = new ChaosPath({
      ...settings,
      carrier,
      seed,
      send: (bytes) => carrier.write(bytes),
      end: () => carrier.end(),
      onGone: () => onGone(this),
      face: {
        get reading() {
          return isReading()
        },
        get over() {
          return isOver()
        },
        give: (bytes) => this.deliver(bytes),
        receiveEnd: () => this.receiveEnd(),
        drained: () => this.drained(),
        receiveClose: (reason) => this.receiveClose(reason),
      },
    })
  }

  get writableLength(): number {
    return this.#path.writableLength
  }

  override open(handler: ConnectionHandler): void {
    super.open(handler)
    if (this.#opened) return
    this.#opened = true
    if (this.over) return
    this.#path.opened()
    this.#carrier.open(this)
  }

  override ref(): void {
    this.#carrier.ref()
  }
  override unref(): void {
    this.#carrier.unref()
  }

  cut(how: 'close' | 'reset', by: string): void {
    this.#path.cut(how, by)
  }

  protected get writable(): boolean {
    return this.#path.writable
  }

  protected transmit(chunk: Uint8Array): void {
    if (this.#path.outIsOpen) this.#path.sent(this.#carrier.write(chunk))
    else this.#path.push(chunk.slice(), undefined)
  }

  protected transmitEnd(): void {
    this.#path.end()
  }

  protected abort(reason: Error | undefined): void {
    this.#path.destroy(reason)
  }

  protected readingChanged(reading: boolean): void {
    this.#path.readingChanged(reading)
  }

  // From the carrier.

  onData(chunk: Uint8Array): void {
    if (!this.#path.receives) return
    if (this.#path.inIsOpen) this.deliver(chunk, () => this.#carrier.leaseChunk())
    else this.#path.receive(chunk.slice(), undefined)
    this.#path.updateCarrier()
  }

  onDrain(): void {
    this.#path.onDrain()
  }
  onEnd(): void {
    this.#path.onEnd()
  }
  onClose(reason: Error | undefined): void {
    this.#path.onClose(reason)
  }
}
