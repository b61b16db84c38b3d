/** What the configuration calls retry, hedge and breaker policy, as the runtime takes them. */
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { ClientOptions, ClientRetryOptions } from '../../runtime/client-options.ts'
import { durationMs } from '../config/quantity.ts'
import type { CircuitBreakersConfig, ClusterConfig } from '../config/schema/cluster.ts'

type Policies = Required<
  Pick<ClientOptions<HttpRequest, HttpResponse>, 'retry' | 'hedge' | 'breaker'>
>

export function policiesOf(config: ClusterConfig): Policies {
  const { circuit_breakers: breakers, hedge_policy: hedge } = config
  return {
    retry: retryOf(config),
    hedge:
      hedge === undefined
        ? false
        : {
            ...(hedge.delay !== undefined && { delayMs: durationMs(hedge.delay) }),
            quantile: hedge.hedge_percentile / 100,
            minDelayMs: durationMs(hedge.min_delay),
            maxHedges: hedge.max_hedges,
          },
    breaker: breakerOf(breakers),
  }
}

/** Without retries the budget is still there: for hedges. */
function retryOf(config: ClusterConfig): ClientRetryOptions {
  const { retry_policy: retry } = config
  const { retry_back_off: backoff, retry_budget: budget } = retry
  return {
    maxAttempts: retry.num_retries + 1,
    backoff: backoff.type,
    baseMs: durationMs(backoff.base_interval),
    maxMs: durationMs(backoff.max_interval),
    ...(backoff.jitter !== undefined && { jitter: backoff.jitter }),
    ...(retry.max_elapsed !== undefined && { maxElapsedMs: durationMs(retry.max_elapsed) }),
    maxPushbackMs: durationMs(retry.max_retry_after),
    budget: {
      ratio: budget.budget_percent / 100,
      minPerSecond: budget.min_retries_per_second,
    },
  }
}

function breakerOf(breakers: CircuitBreakersConfig): Policies['breaker'] {
  return {
    consecutiveFailures: breakers.consecutive_failures,
    failureRate: breakers.failure_percent / 100,
    ...(breakers.slow_call_duration !== undefined && {
      slowCallMs: durationMs(breakers.slow_call_duration),
    }),
    slowCallRate: breakers.slow_call_percent / 100,
    minCalls: breakers.min_calls,
    windowMs: durationMs(breakers.window),
    openMs: durationMs(breakers.open_time),
    maxOpenMs: durationMs(breakers.max_open_time),
    maxProbes: breakers.max_probes,
    successesToClose: breakers.successes_to_close,
    rampMs: durationMs(breakers.ramp_up),
  }
}
