/** PINGs of a connection that wait: answers come in the order of the questions. */
import type { ConnectContext } from '../../runtime/exchanger.ts'

interface WaitingPing {
  resolve(): void
  reject(reason: unknown): void
}

export class ClientPings {
  readonly #send: () => void
  readonly #waiting: WaitingPing[] = []

  constructor(send: () => void) {
    this.#send = send
  }

  ask({ signal }: ConnectContext): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      const done = (): void => signal.removeEventListener('abort', onAbort)
      // One that was given up keeps its place: its answer may come all the same.
      this.#waiting.push({
        resolve: () => {
          done()
          resolve()
        },
        reject: (reason) => {
          done()
          reject(reason)
        },
      })
      this.#send()
    })
  }

  answered(): void {
    this.#waiting.shift()?.resolve()
  }

  fail(reason: Error): void {
    for (const ping of this.#waiting.splice(0)) ping.reject(reason)
  }
}
