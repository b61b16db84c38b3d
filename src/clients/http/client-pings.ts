/** PINGs of a connection that wait: answers come in the order of the questions. */
import type { ConnectContext } from '../../runtime/exchanger.ts'

interface WaitingPing {
  resolve(): void
  reject(reason: unknown): void
}

export class ClientPings {
  readonly #send: () => void
  /** Who waits for each of them. */
  readonly #waiting: WaitingPing[][] = []

  constructor(send: () => void) {
    this.#send = send
  }

  /** @param shared one that is on its way will do: nothing is to be measured */
  ask({ signal }: Pick<ConnectContext, 'signal'>, shared: boolean = false): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const onAbort = (): void => reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      const done = (): void => signal.removeEventListener('abort', onAbort)
      // One that was given up keeps its place: its answer may come all the same.
      const waiting: WaitingPing = {
        resolve: () => {
          done()
          resolve()
        },
        reject: (reason) => {
          done()
          reject(reason)
        },
      }
      const last = shared ? this.#waiting.at(-1) : undefined
      if (last !== undefined) return void last.push(waiting)
      this.#waiting.push([waiting])
      this.#send()
    })
  }

  answered(): void {
    for (const ping of this.#waiting.shift() ?? []) ping.resolve()
  }

  fail(reason: Error): void {
    for (const ping of this.#waiting.splice(0).flat()) ping.reject(reason)
  }
}
