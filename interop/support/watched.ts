/** What a resolver told, and waiting for it. */
import { formatAddress } from '../../src/core/address.ts'
import type { Endpoint, Resolver } from '../../src/core/policy.ts'

export class Watched implements Disposable {
  /** Sets as their addresses, in order. */
  readonly heard: string[] = []
  /** The last set. */
  endpoints: readonly Endpoint[] = []
  readonly errors: string[] = []
  readonly #watch: Disposable
  /** A resolver does not keep a process alive by waiting. */
  readonly #alive = setInterval(() => {}, 1_000)
  #wake = (): void => {}

  constructor(resolver: Resolver, target: string) {
    this.#watch = resolver.watch(target, {
      onEndpoints: (endpoints) => {
        this.endpoints = endpoints
        this.heard.push(
          endpoints
            .map(({ address }) => formatAddress(address))
            .sort()
            .join(' '),
        )
        this.#wake()
      },
      onError: (error) => {
        this.errors.push(error.message)
        this.#wake()
      },
    })
  }

  until(set: string): Promise<void> {
    return this.#until(() => this.heard.at(-1) === set)
  }

  async untilSize(size: number): Promise<string> {
    await this.#until(() => this.heard.at(-1)?.split(' ').length === size)
    return this.heard.at(-1) as string
  }

  untilError(message: RegExp): Promise<void> {
    return this.#until(() => this.errors.some((error) => message.test(error)))
  }

  async #until(wanted: () => boolean): Promise<void> {
    while (!wanted()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#alive)
    this.#watch[Symbol.dispose]()
  }
}
