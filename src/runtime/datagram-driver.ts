/**
 * Joins a datagram session (sans-I/O) to a datagram socket (I/O), as `Driver` does for streams.
 *
 *     socket --onDatagram--> session.receive --pollEvent--> owner.onEvent
 *     socket <-----send----- session.pollTransmit <--submit-- owner
 *
 * What the socket drops is lost, as on any other place of the way: the session's timers decide. What
 * is submitted outside of an event leaves at the end of the tick, together.
 */
import type { Address } from '../core/address.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type { DatagramHandler, DatagramSession, DatagramSocket } from '../core/datagram-socket.ts'

export interface DatagramDriverOwner<Event> {
  /** One event; what it points to is borrowed until the call returns. */
  onEvent(event: Event): void
  /** An error of the socket that concerns one peer; it goes on. */
  onError?(error: Error): void
  /** Exactly once and last. */
  onClose(reason: Error | undefined): void
}

export class DatagramDriver<Command, Event> implements DatagramHandler {
  readonly socket: DatagramSocket
  readonly session: DatagramSession<Command, Event>
  readonly #owner: DatagramDriverOwner<Event>
  readonly #clock: Clock
  readonly #runDeferred = (): void => this.#onDeferred()
  readonly #runTimer = (): void => this.#onTimer()
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #deferred = false
  #pumping = false
  #closed = false

  /** Opens the socket, which is the driver's from now on. */
  constructor(
    socket: DatagramSocket,
    session: DatagramSession<Command, Event>,
    owner: DatagramDriverOwner<Event>,
    clock: Clock,
  ) {
    this.socket = socket
    this.session = session
    this.#owner = owner
    this.#clock = clock
    socket.open(this)
  }

  /** @throws what the session throws for a command that it does not take */
  submit(command: Command): void {
    this.session.submit(command, this.#clock.now())
    this.wake()
  }

  /** The session was changed by other means than a command. */
  wake(): void {
    if (this.#pumping || this.#deferred || this.#closed) return
    this.#deferred = true
    this.#clock.defer(this.#runDeferred)
  }

  /** Closes the socket. What the session has to say about that is the owner's to ask first. */
  close(): Promise<void> {
    this.#pump()
    this.#timer?.cancel()
    this.#timer = undefined
    this.#closed = true
    return this.socket.close()
  }

  onDatagram(payload: Uint8Array, from: Address): void {
    this.session.receive(payload, from, this.#clock.now())
    this.#pump()
  }

  onError(error: Error): void {
    this.#owner.onError?.(error)
  }

  onClose(reason: Error | undefined): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#closed = true
    this.#owner.onClose(reason)
  }

  #onDeferred(): void {
    this.#deferred = false
    this.#pump()
  }

  #onTimer(): void {
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#clock.now()
    const due = this.session.pollTimeout()
    // A timer that was set for something that is over by now: the next one is armed in #pump.
    if (due !== undefined && due <= now) this.session.handleTimeout(now)
    this.#pump()
  }

  #pump(): void {
    if (this.#pumping || this.#closed) return
    this.#pumping = true
    try {
      for (let event = this.session.pollEvent(); event !== undefined && !this.#closed; ) {
        this.#owner.onEvent(event)
        event = this.session.pollEvent()
      }
      this.#transmit()
    } finally {
      this.#pumping = false
    }
    this.#armTimer()
  }

  #transmit(): void {
    while (!this.#closed) {
      const out = this.session.pollTransmit(this.#clock.now())
      if (out === undefined) return
      this.socket.send(out.payload, out.to)
    }
  }

  /** One timer, and only ever moved to an earlier time: acknowledgements cost nothing. */
  #armTimer(): void {
    const due = this.session.pollTimeout()
    if (due === undefined || due >= this.#timerAt || this.#closed) return
    this.#timer?.cancel()
    this.#timerAt = due
    this.#timer = this.#clock.setTimer(due, this.#runTimer)
  }
}
