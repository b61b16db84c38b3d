/**
 * Whether a connection can be made: not while the transport is down, later while a partition lasts.
 */
import type { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { TimeoutError, TransportError } from '../../core/errors.ts'
import type { ConnectOptions } from '../../core/transport.ts'

/** Resolves when nothing is in the way any more. */
export async function passGate(
  toxics: ToxicSet,
  clock: Clock,
  seed: number,
  isDown: () => boolean,
  options: Pick<ConnectOptions, 'signal' | 'deadline'> = {},
): Promise<void> {
  options.signal?.throwIfAborted()
  while (!isDown()) {
    const until = toxics.partitionedUntil(seed)
    if (until === 0) return
    await changed(toxics, clock, until, options)
  }
  throw new TransportError('ERR_CONNECT_REFUSED', 'chaos: the transport is down', {
    sent: 'nothing',
  })
}

/** The toxics were changed, or the partition is over. */
function changed(
  toxics: ToxicSet,
  clock: Clock,
  until: number,
  { signal, deadline = Number.POSITIVE_INFINITY }: Pick<ConnectOptions, 'signal' | 'deadline'>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined
    const settle = (error?: unknown): void => {
      timer?.cancel()
      watch[Symbol.dispose]()
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onAbort = (): void => settle(signal?.reason)
    const watch = toxics.watch(() => settle())
    signal?.addEventListener('abort', onAbort)
    const at = Math.min(until, deadline)
    if (at === Number.POSITIVE_INFINITY) return
    timer = clock.setTimer(at, () => {
      if (clock.now() < deadline) return settle()
      const said = 'chaos: the deadline passed during a partition'
      settle(new TimeoutError('ERR_CONNECT_TIMEOUT', said, { sent: 'nothing' }))
    })
  })
}
