/** A tracer that keeps what it is told, for tests of what middleware tells it. */
import type { TraceContext } from '../../src/core/context.ts'
import type { Attributes } from '../../src/core/metrics.ts'
import type { Span, SpanStart, Tracer } from '../../src/core/tracing.ts'

export class RecordedSpan implements Span {
  readonly start: SpanStart
  readonly context: TraceContext
  readonly recording: boolean
  name: string
  attributes: Attributes
  readonly errors: unknown[] = []
  readonly events: string[] = []
  failed = false
  ended = 0

  constructor(start: SpanStart, id: number, recording: boolean) {
    this.start = start
    this.name = start.name
    this.attributes = start.attributes
    this.recording = recording
    this.context = {
      traceId: start.parent?.traceId ?? 'a'.repeat(32),
      spanId: id.toString(16).padStart(16, '0'),
      flags: recording ? 1 : 0,
      state: undefined,
      baggage: start.parent?.baggage ?? start.baggage,
    }
  }

  setName(name: string): void {
    this.name = name
  }
  setAttributes(attributes: Attributes): void {
    this.attributes = { ...this.attributes, ...attributes }
  }
  addEvent(name: string): void {
    this.events.push(name)
  }
  recordError(error: unknown): void {
    this.errors.push(error)
  }
  fail(): void {
    this.failed = true
  }
  end(): void {
    this.ended++
  }
  run<Result>(work: () => Result): Result {
    return work()
  }
}

export class RecordingTracer implements Tracer {
  readonly spans: RecordedSpan[] = []
  readonly #recording: boolean

  constructor(recording = true) {
    this.#recording = recording
  }

  wants(): boolean {
    return true
  }

  startSpan(start: SpanStart): Span {
    const span = new RecordedSpan(start, this.spans.length + 1, this.#recording)
    this.spans.push(span)
    return span
  }
}
