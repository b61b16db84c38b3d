/** One stream of a session: both directions, each with its window. */
import type { ByteQueue } from '../../core/byte-queue.ts'
import { YAMUX_INITIAL_WINDOW } from './messages.ts'

export class YamuxStream {
  readonly id: number
  /** Opened by this side. */
  readonly own: boolean
  /** The side that did not open it has acknowledged it. */
  accepted = false
  /** Its last event is on its way to the owner: commands for it come too late. */
  closed = false

  /** 0 (first) to 7, as RFC 9218. */
  urgency = 3
  /** What the peer lets this side send. */
  sendWindow = YAMUX_INITIAL_WINDOW
  queue: Uint8Array[] = []
  queuedBytes = 0
  /** No more data until `writable`. */
  stuck = false
  ending = false
  /** Our FIN has been encoded. */
  ended = false

  /** What the peer may still send. */
  receiveWindow = YAMUX_INITIAL_WINDOW
  /** What may be delivered. */
  credit = 0
  /** Nothing is delivered, whatever the credit. */
  onHold = false
  /** Credit the peer has not been told of yet. */
  untold = 0
  /** Arrived without credit. At most the first window: the peer may send that and the credit. */
  held: ByteQueue | undefined
  /** The peer's FIN has arrived … */
  remoteEnded = false
  /** … and was told to the owner, after all data. */
  endTold = false

  constructor(id: number, own: boolean) {
    this.id = id
    this.own = own
  }

  get heldBytes(): number {
    return this.held?.length ?? 0
  }

  get sendable(): boolean {
    if (this.closed || this.ended) return false
    return this.queuedBytes > 0 ? this.sendWindow > 0 : this.ending
  }
}
