/**
 * The globals that the pure layers may use: web standards that every runtime has.
 *
 * These layers are compiled with `types: []` and without the DOM, so what is not named here does
 * not exist for them: no `Buffer`, no timers, no `process`. The declarations are the part of each
 * interface that works the same everywhere; Node's own types are a superset of them.
 */

interface AbortSignal {
  readonly aborted: boolean
  // biome-ignore lint/suspicious/noExplicitAny: the standard says that a reason is anything
  readonly reason: any
  throwIfAborted(): void
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

declare var AbortSignal: {
  prototype: AbortSignal
  new (): AbortSignal
  abort(reason?: unknown): AbortSignal
  any(signals: AbortSignal[]): AbortSignal
}

interface AbortController {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}

declare var AbortController: {
  prototype: AbortController
  new (): AbortController
}

interface TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>
  encodeInto(text: string, into: Uint8Array): { read: number; written: number }
}

declare var TextEncoder: {
  prototype: TextEncoder
  new (): TextEncoder
}

interface TextDecoder {
  readonly encoding: string
  decode(bytes?: ArrayBufferView | ArrayBufferLike, options?: { stream?: boolean }): string
}

declare var TextDecoder: {
  prototype: TextDecoder
  new (label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder
}

interface URL {
  readonly href: string
  readonly origin: string
  readonly protocol: string
  readonly username: string
  readonly password: string
  readonly host: string
  readonly hostname: string
  readonly port: string
  readonly pathname: string
  readonly search: string
  readonly searchParams: URLSearchParams
  readonly hash: string
  toString(): string
}

declare var URL: {
  prototype: URL
  new (url: string | URL, base?: string | URL): URL
  canParse(url: string | URL, base?: string | URL): boolean
}

interface URLSearchParams extends Iterable<[string, string]> {
  get(name: string): string | null
  getAll(name: string): string[]
  has(name: string): boolean
  toString(): string
}

declare var URLSearchParams: {
  prototype: URLSearchParams
  new (init?: string | Record<string, string> | Iterable<[string, string]>): URLSearchParams
}

declare function queueMicrotask(callback: () => void): void

/** Missing where a runtime may not make code: Node with `--jitless`, a page whose policy forbids it. */
declare var WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (module: object) => { readonly exports: Record<string, unknown> }
}
