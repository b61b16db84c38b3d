/**
 * A time limit and the caller's abort as one signal, for the few things here that take time:
 * resolving, connecting, handshakes.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { TimeoutError } from '../../core/errors.ts'
import type { ConnectOptions } from '../../core/transport.ts'

/**
 * Runs `work` with a signal that aborts when the caller's does, at the deadline, or after
 * `timeoutMs`; the first two leave their own reason.
 */
export async function withTimeLimit<Result>(
  address: Address,
  timeoutMs: number,
  clock: Clock,
  options: ConnectOptions,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { signal, deadline = Number.POSITIVE_INFINITY } = options
  signal?.throwIfAborted()
  const controller = new AbortController()
  const start = clock.now()
  const at = Math.min(deadline, start + timeoutMs)
  const tooLate = () => {
    const waited = Math.max(0, Math.round(at - start))
    const message = `${formatAddress(address)} could not be connected within ${waited} ms`
    controller.abort(new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' }))
  }
  if (at <= start) {
    tooLate()
    throw controller.signal.reason
  }
  const onAbort = () => controller.abort(signal?.reason)
  const timer = clock.setTimer(at, tooLate)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await work(controller.signal)
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}
