/** What the configuration calls retry policy and circuit breakers, as the runtime takes them. */
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { ClientOptions } from '../../runtime/client-options.ts'
import { durationMs } from '../config/quantity.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'

/** Retries and breakers as the runtime takes them. */
export function policiesOf(
  config: ClusterConfig,
): Required<Pick<ClientOptions<HttpRequest, HttpResponse>, 'retry' | 'breaker'>> {
  const { circuit_breakers: breakers, retry_policy: retry } = config
  return {
    retry:
      retry.num_retries === 0
        ? false
        : {
            maxAttempts: retry.num_retries + 1,
            baseMs: durationMs(retry.retry_back_off.base_interval),
            maxMs: durationMs(retry.retry_back_off.max_interval),
            budget: {
              ratio: retry.retry_budget.budget_percent / 100,
              minPerSecond: retry.retry_budget.min_retries_per_second,
            },
          },
    breaker: {
      consecutiveFailures: breakers.consecutive_failures,
      failureRate: breakers.failure_percent / 100,
      minCalls: breakers.min_calls,
      windowMs: durationMs(breakers.window),
      openMs: durationMs(breakers.open_time),
      maxOpenMs: durationMs(breakers.max_open_time),
    },
  }
}
