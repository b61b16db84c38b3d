/**
 * Blocks on a channel of small messages: what is longer than a chunk is cut, and put together on the
 * other side (protocols/olocus/fragments.ts). Raw messages are never cut: a fragment has the hash of
 * a block.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { HeddleError, ProtocolError } from '../../core/errors.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import {
  FRAGMENT_HEADER_BYTES,
  FragmentReassembler,
  fragmentBlock,
  MAX_CHUNK_BYTES,
  type ReassemblyOptions,
  readFragment,
} from '../../protocols/olocus/fragments.ts'
import type { OutgoingMessage } from './block-carrier.ts'
import { MessageCarrier } from './message-carrier.ts'

export interface FragmentCarrierOptions extends Omit<ReassemblyOptions, 'chunkBytes'> {
  readonly clock: Clock
  readonly maxMessageBytes: number
  /** Longest message of the channel. @default 16_384, what every implementation takes */
  readonly maxChannelMessageBytes?: number
  /** Whether the channel loses messages: then blocks are not cut. @default false */
  readonly lossy?: boolean
}

export class FragmentCarrier extends MessageCarrier {
  readonly #clock: Clock
  readonly #chunkBytes: number
  readonly #lossy: boolean
  readonly #reassembler: FragmentReassembler
  #timer: Timer | undefined

  constructor(messages: MessageConnection, options: FragmentCarrierOptions) {
    super(messages, options.maxMessageBytes)
    const { maxChannelMessageBytes = 16_384, lossy = false, clock, ...limits } = options
    const room = Math.min(maxChannelMessageBytes, messages.maxMessageBytes)
    this.#clock = clock
    this.#lossy = lossy
    this.#chunkBytes = Math.min(MAX_CHUNK_BYTES, room - FRAGMENT_HEADER_BYTES)
    this.#reassembler = new FragmentReassembler({ ...limits, chunkBytes: this.#chunkBytes })
  }

  override send(message: OutgoingMessage): boolean {
    const { bytes, blockHash } = message
    if (blockHash === undefined || bytes.length <= this.#chunkBytes) {
      return this.messages.send(bytes)
    }
    if (this.#lossy) {
      const text = `a block of ${bytes.length} bytes is over the ${this.#chunkBytes} of one message`
      throw new ProtocolError('ERR_FRAME_TOO_LARGE', `${text}, and a lossy channel takes no parts`)
    }
    let writable = true
    for (const fragment of fragmentBlock(blockHash, bytes, this.#chunkBytes)) {
      writable = this.messages.send(fragment)
    }
    return writable
  }

  override onMessage(message: Uint8Array): void {
    const fragment = readFragment(message)
    if (fragment === undefined) return super.onMessage(message)
    this.handler?.onProgress()
    try {
      const whole = this.#reassembler.receive(fragment, this.#clock.now())
      if (whole !== undefined) {
        const { encoded, blockHash } = whole
        this.handler?.onMessage({ bytes: encoded, kind: 'message', blockHash })
      }
    } catch (error) {
      this.handler?.onLost(reassemblyFailed(error))
    }
    this.#arm()
  }

  override onClose(reason: Error | undefined): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#reassembler.clear()
    super.onClose(reason)
  }

  #arm(): void {
    const at = this.#reassembler.pollTimeout()
    if (at === undefined) {
      this.#timer?.cancel()
      this.#timer = undefined
      return
    }
    // One timer until the oldest may be over; what was heard of meanwhile sets the next.
    this.#timer ??= this.#clock.setTimer(at, () => {
      this.#timer = undefined
      const count = this.#reassembler.handleTimeout(this.#clock.now())
      for (let index = 0; index < count; index++) {
        this.handler?.onLost(
          new ProtocolError('ERR_TRUNCATED', 'fragments of a block are missing', REASSEMBLY),
        )
      }
      this.#arm()
    })
  }
}

function reassemblyFailed(error: unknown): Error {
  if (!(error instanceof HeddleError)) return error as Error
  const code = error.code === 'ERR_LIMIT' ? 'ERR_LIMIT' : 'ERR_PROTOCOL'
  return new ProtocolError(code, error.message, { ...REASSEMBLY, cause: error })
}

const REASSEMBLY = { detail: Object.freeze({ reason: 'reassembly' }) } as const
