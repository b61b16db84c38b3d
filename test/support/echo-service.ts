/**
 * The service of test/fixtures/echo: what tests, benchmarks and interop suites serve and call.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { GrpcError } from '../../src/protocols/grpc/grpc-error.ts'
import {
  BadRequestSchema,
  ErrorInfoSchema,
} from '../../src/protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import type { GrpcServiceOptions } from '../../src/servers/grpc/grpc-options.ts'
import { type GrpcService, grpcService } from '../../src/servers/grpc/grpc-service.ts'
import type { HandlerContext } from '../../src/servers/grpc/handler-context.ts'
import { Echo } from '../fixtures/echo/echo_pb.ts'

/** Handlers that are under way, and those whose signal was aborted: for tests of cancellation. */
export interface EchoCounts {
  active: number
  aborted: number
}

export function echoService(
  options: GrpcServiceOptions = {},
  counts: EchoCounts = { active: 0, aborted: 0 },
): GrpcService {
  return grpcService(
    Echo,
    {
      say(request, context) {
        echoMetadata(context)
        const { text, payload, number, delayMs } = request
        const reply = { text, payload, number }
        return delayMs === 0 ? reply : watched(counts, context, delayMs).then(() => reply)
      },
      async look({ text, payload, number }) {
        return { text, payload, number }
      },
      async *expand({ text, count, payloadBytes, failAfter, failCode, delayMs }, context) {
        echoMetadata(context)
        for (let number = 0; number < count; number++) {
          if (failCode !== 0 && number === failAfter) {
            throw new GrpcError(failCode as 1, `after ${failAfter}`)
          }
          if (delayMs > 0) await watched(counts, context, delayMs)
          yield { text, number, payload: new Uint8Array(payloadBytes).fill(number) }
        }
        if (failCode !== 0 && failAfter >= count) throw new GrpcError(failCode as 1, 'at the end')
      },
      async collect(requests, context) {
        echoMetadata(context)
        let count = 0
        let bytes = 0
        const texts: string[] = []
        for await (const { text, payload } of requests) {
          count++
          bytes += payload.length
          if (texts.length < 10) texts.push(text)
        }
        return { count, bytes: BigInt(bytes), texts }
      },
      async *chat(requests, context) {
        echoMetadata(context)
        context.sendHeaders()
        for await (const { text, payload, number, delayMs } of requests) {
          if (delayMs > 0) await watched(counts, context, delayMs)
          yield { text, payload, number }
        }
      },
      fail({ code, message, withDetails }) {
        if (code === 0) throw new Error(message)
        throw new GrpcError(code as 1, message, {
          metadata: { 'x-reason': 'asked', 'x-reason-bin': Uint8Array.of(0, 1, 255) },
          ...(withDetails && {
            details: [
              [ErrorInfoSchema, { reason: 'ASKED', domain: 'echo.test', metadata: { a: 'b' } }],
              [BadRequestSchema, { fieldViolations: [{ field: 'code', description: 'set' }] }],
            ],
          }),
        })
      },
    },
    options,
  )
}

/** `x-echo…` comes back in headers and, with `-trailer` behind it, in trailers. */
function echoMetadata(context: HandlerContext): void {
  const { requestMetadata: metadata } = context
  for (const value of metadata.getAll('x-echo')) context.responseHeaders.append('x-echo', value)
  for (const value of metadata.getAllBinary('x-echo-bin')) {
    context.responseHeaders.append('x-echo-bin', value)
    context.responseTrailers.append('x-echo-trailer-bin', value)
  }
  const trailer = metadata.get('x-echo')
  if (trailer !== undefined) context.responseTrailers.append('x-echo-trailer', trailer)
}

async function watched(
  counts: EchoCounts,
  { signal }: HandlerContext,
  delayMs: number,
): Promise<void> {
  counts.active++
  try {
    await sleep(delayMs, undefined, { signal })
  } catch (error) {
    counts.aborted++
    throw error
  } finally {
    counts.active--
  }
}
