/**
 * A listening TCP server that does not accept, and whose kernel queue goes on filling.
 *
 * Node has no call for that. But since Node 26 a server can be sent to another thread, and while it
 * is in a message its socket is bound, listens, and belongs to no event loop. So a paused server is
 * sent to a port of the same thread, and picked up again when it is resumed.
 */
import type { Server } from 'node:net'
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'

export class ParkedServer {
  readonly #from: MessagePort
  readonly #to: MessagePort

  private constructor(from: MessagePort, to: MessagePort) {
    this.#from = from
    this.#to = to
  }

  /** @returns undefined where it cannot be done: older Nodes, Unix sockets, cluster workers */
  static park(server: Server): ParkedServer | undefined {
    const { port1, port2 } = new MessageChannel()
    try {
      port1.postMessage(server, [server as never])
      return new ParkedServer(port1, port2)
    } catch {
      port1.close()
      port2.close()
      return undefined
    }
  }

  /** The server again, accepting from now on: its listeners have to be attached at once. */
  take(): Server {
    const received = receiveMessageOnPort(this.#to)
    this.#from.close()
    this.#to.close()
    return (received as { message: Server }).message
  }

  ref(): void {
    this.#to.ref()
  }

  unref(): void {
    this.#to.unref()
  }
}
