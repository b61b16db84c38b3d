/** The slow-call log's place, the same in both stacks. */
import type { Clock } from '../../core/clock.ts'
import type { Classifier } from '../../core/policy.ts'
import { type SlowCallOptions, slowCalls } from '../middleware/slow-calls.ts'
import { SlowCallDetector } from '../slow-call-detector.ts'
import type { Layer } from './layer.ts'

export function slowCallLayer<Req, Res>(
  options: SlowCallOptions<Req, Res> | undefined,
  clock: Clock,
  classifier: Classifier<Req, Res>,
): Layer<Req, Res> {
  return {
    name: 'slow calls',
    rule: 'within the span, whose ids it tells; around everything that a call may wait for',
    middleware:
      options &&
      slowCalls({
        ...options,
        clock,
        onSlow: (call) => options.onSlow(call),
        operation: (request) => classifier.operation(request),
      }),
    parameters: options === undefined ? {} : { ...new SlowCallDetector(options).thresholds },
  }
}
