/**
 * Signalling within one process: for tests, and for peers that share a process for another reason.
 */

import { TransportError, UsageError } from '../../core/errors.ts'
import type {
  SignalHandler,
  Signalling,
  SignallingMembership,
  SignalMessage,
} from '../../transports/webrtc/signalling.ts'
import { isPeerName } from '../../transports/webrtc/signalling.ts'

/** Each call makes a world of its own. */
export function memorySignalling(): MemorySignalling {
  return new MemorySignalling()
}

export class MemorySignalling implements Signalling {
  readonly #members = new Map<string, SignalHandler>()
  #names = 0

  get memberCount(): number {
    return this.#members.size
  }

  join(peer: string | undefined, handler: SignalHandler): Promise<SignallingMembership> {
    if (peer !== undefined && !isPeerName(peer)) {
      throw new UsageError('ERR_ARGUMENT', 'a peer needs a name of 1 to 256 characters')
    }
    const name = peer ?? this.#freshName()
    if (this.#members.has(name)) {
      const message = `the peer name ${name} is in use`
      return Promise.reject(new TransportError('ERR_ADDRESS_IN_USE', message, { sent: 'nothing' }))
    }
    this.#members.set(name, handler)
    let left = false
    return Promise.resolve({
      peer: name,
      send: (message: SignalMessage) => {
        if (!left) this.#deliver(message, handler)
      },
      leave: () => {
        left = true
        if (this.#members.get(name) === handler) this.#members.delete(name)
      },
    })
  }

  /** Never within `send`: a sender is in the middle of something. */
  #deliver(message: SignalMessage, sender: SignalHandler): void {
    queueMicrotask(() => {
      const receiver = this.#members.get(message.to)
      if (receiver !== undefined) receiver.onSignal(message)
      else if (message.type !== 'bye') sender.onUndeliverable(message)
    })
  }

  #freshName(): string {
    for (;;) {
      this.#names += 1
      const name = `peer-${this.#names}`
      if (!this.#members.has(name)) return name
    }
  }
}
