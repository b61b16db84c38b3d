/**
 * Any bytes as the answer of a server: clients of gRPC-Web and Connect end with what they say or with an
 * error of heddle's, alike however they are cut.
 */
import { Call } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { Health } from '../grpc/proto/grpc/health/v1/health_pb.ts'
import { Body } from '../http/body.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../http/messages.ts'
import { envelopeBytes } from './envelope.ts'
import { grpcOverConnect } from './grpc-over-connect.ts'
import { grpcOverWeb } from './grpc-over-web.ts'

const text = (content: string): Uint8Array => new TextEncoder().encode(content)

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  text('{"status":"SERVING"}'),
  text('{"code":"not_found","details":[{"type":"a.B","value":"AAE"}]}'),
  Uint8Array.of(8, 1),
  Uint8Array.of(0, 0, 0, 0, 2, 8, 1, ...envelopeBytes(2, text('{"error":{"code":"aborted"}}'))),
  Uint8Array.of(0, 0, 0, 0, 2, 8, 1, ...envelopeBytes(128, text('grpc-status: 5\r\n'))),
  text('AAAAAAIIAYAAAAAQZ3JwYy1zdGF0dXM6IDUNCg=='),
]

const TYPES: readonly (readonly [contentType: string, status: number])[] = [
  ['application/proto', 200],
  ['application/json', 200],
  ['application/json', 404],
  ['application/connect+proto', 200],
  ['application/connect+json', 200],
  ['application/grpc-web+proto', 200],
  ['application/grpc-web-text', 200],
]

export async function fuzz(seed: number, bytes: Uint8Array): Promise<void> {
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  for (const [type, status] of TYPES) {
    const whole = await outcome(type, status, () => Body.from(bytes.slice()))
    const parts = await outcome(type, status, () =>
      Body.from(new Pieces([bytes.slice(0, cut), bytes.slice(cut)])),
    )
    if (whole !== parts) throw new Error(`${type}, cut at ${cut}: ${parts} instead of ${whole}`)
  }
}

async function outcome(type: string, status: number, body: () => Body): Promise<string> {
  const server: HttpService = () =>
    new HttpResponse({ status, fields: { 'content-type': type }, body: body() })
  const codec = type.endsWith('json') ? 'json' : 'proto'
  const isStream = type.includes('connect+')
  const method = isStream ? Health.method.watch : Health.method.check
  const limits = { maxMessageBytes: 64 }
  const carried = type.includes('grpc-web')
    ? grpcOverWeb(server, limits)
    : grpcOverConnect(server, { ...limits, codec, method: () => method })
  const request = new HttpRequest({
    method: 'POST',
    target: '/grpc.health.v1.Health/Check',
    fields: { 'content-type': 'application/grpc+proto' },
    body: Uint8Array.of(0, 0, 0, 0, 0),
  })
  try {
    const response = await carried(request, new Call())
    const content = await response.body.bytes(1_024)
    const trailers = response.body.trailers?.toFlat() ?? []
    return `${response.status} ${response.fields.get('grpc-status')} ${content.join()} ${trailers.join()}`
  } catch (error) {
    if (!(error instanceof HeddleError)) throw error
    return error.code
  }
}

/** Chunks whose memory is used again once they were taken. */
class Pieces implements Source<Uint8Array>, Flow {
  readonly #chunks: Uint8Array[]
  #sink: Sink<Uint8Array> | undefined

  constructor(chunks: Uint8Array[]) {
    this.#chunks = chunks
  }

  open(sink: Sink<Uint8Array>): Flow {
    this.#sink = sink
    return this
  }

  resume(): void {
    while (this.#sink !== undefined) {
      const chunk = this.#chunks.shift()
      if (chunk === undefined) {
        const sink = this.#sink
        this.#sink = undefined
        return sink.end()
      }
      const more = chunk.length === 0 || this.#sink.write(chunk)
      chunk.fill(0xdb)
      if (!more) return
    }
  }

  cancel(): void {
    this.#sink = undefined
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    throw new Error('not iterated')
  }
}
