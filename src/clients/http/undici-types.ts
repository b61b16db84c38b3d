/**
 * The parts of undici's dispatcher interface that the adapter meets (undici 7 and 8), by shape: the
 * package itself is not needed.
 */
import type { Duplex } from 'node:stream'
import type { ChunkIterable } from '../../links/web-stream/iterable-source.ts'

export type UndiciHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | readonly string[]
  | Iterable<readonly [string, string | readonly string[] | undefined]>
  | null

export type UndiciBody =
  | string
  | Uint8Array
  | ArrayBuffer
  | Blob
  | FormData
  | ReadableStream<Uint8Array>
  | ChunkIterable
  | null

export interface UndiciDispatchOptions {
  origin?: string | URL
  path: string
  method: string
  query?: Readonly<Record<string, unknown>>
  headers?: UndiciHeaders
  body?: UndiciBody
  idempotent?: boolean
  upgrade?: boolean | string | null
  headersTimeout?: number | null
}

export interface UndiciController {
  readonly aborted: boolean
  readonly paused: boolean
  readonly reason: Error | null
  rawHeaders: Buffer[] | null
  rawTrailers: Buffer[] | null
  abort(reason: Error): void
  pause(): void
  resume(): void
}

export type UndiciHeaderObject = Record<string, string | string[]>

export interface UndiciHandler {
  onRequestStart?(controller: UndiciController, context: object): void
  onRequestUpgrade?(
    controller: UndiciController,
    status: number,
    headers: UndiciHeaderObject,
    socket: Duplex,
  ): void
  onResponseStarted?(): void
  onResponseStart?(
    controller: UndiciController,
    status: number,
    headers: UndiciHeaderObject,
    reason?: string,
  ): void
  onResponseData?(controller: UndiciController, chunk: Buffer): void
  onResponseEnd?(controller: UndiciController, trailers: UndiciHeaderObject): void
  onResponseError?(controller: UndiciController, error: Error): void
  onBodySent?(chunk: Buffer): void
  onRequestSent?(): void
}
