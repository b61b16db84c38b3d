/**
 * A tracer without an SDK: every span is an id and nothing more. Whoever is called sees a parent of
 * its own, logs and exemplars have ids, traces begin here with a sampling decision; nothing is
 * recorded. A gateway without an SDK traces with it.
 */
import type { Random } from '../core/clock.ts'
import type { TraceContext } from '../core/context.ts'
import { checkRange } from '../core/errors.ts'
import { RANDOM_FLAG, SAMPLED_FLAG } from '../core/trace-context.ts'
import type { Span, SpanStart, Tracer } from '../core/tracing.ts'

export interface PropagatingTracerOptions {
  random: Random
  /**
   * Share of the traces that begin here which are marked as sampled, 0 to 1. A trace that came with
   * a decision keeps it.
   *
   * @default 0: whoever has an SDK decides
   */
  sampling?: number
}

export const propagatingTracerDefaults: Readonly<{ sampling: number }> = Object.freeze({
  sampling: 0,
})

export function propagatingTracer(options: PropagatingTracerOptions): Tracer {
  const { random, sampling = propagatingTracerDefaults.sampling } = options
  checkRange('sampling', sampling, 0, 1)
  return {
    wants: () => true,
    describes: false,
    startSpan: ({ parent, baggage }: SpanStart): Span => {
      const spanId = hex(random, 2)
      if (parent !== undefined) {
        const { traceId, flags, state } = parent
        return new IdSpan({ traceId, spanId, flags, state, baggage: parent.baggage })
      }
      const sampled = sampling > 0 && random() < sampling ? SAMPLED_FLAG : 0
      const flags = RANDOM_FLAG | sampled
      return new IdSpan({ traceId: hex(random, 4), spanId, flags, state: undefined, baggage })
    },
  }
}

class IdSpan implements Span {
  readonly context: TraceContext
  readonly recording = false

  constructor(context: TraceContext) {
    this.context = context
  }

  setName(): void {}
  setAttributes(): void {}
  addEvent(): void {}
  recordError(): void {}
  fail(): void {}
  end(): void {}

  run<Result>(work: () => Result): Result {
    return work()
  }
}

/** Eight digits a word; all zeros are no id. */
function hex(random: Random, words: number): string {
  let text = ''
  let bits = 0
  for (let word = 0; word < words; word++) {
    const value = (random() * 0x1_0000_0000) >>> 0
    bits |= value
    text += `${HEX[value >>> 24]}${HEX[(value >>> 16) & 255]}${HEX[(value >>> 8) & 255]}${HEX[value & 255]}`
  }
  return bits === 0 ? `${text.slice(1)}1` : text
}

/** Two digits of each byte. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)
