/**
 * `node:diagnostics_channel` names: what happens inside, for tools that want to look on without
 * being built in (`heddle:<layer>:<event>`).
 *
 *     subscribe('heddle:server:request', (message) => …)
 *
 * A channel without a subscriber costs one property read: publishers ask `hasSubscribers` before
 * they make a message.
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import { UsageError } from '../core/errors.ts'

/** @param event lower-case words joined by '-', as `layer` */
export function diagnosticsChannel(layer: string, event: string): Channel {
  if (!NAME.test(layer) || !NAME.test(event)) {
    const message = `diagnostics channel heddle:${layer}:${event}: expected lower-case words and '-'`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return channel(`heddle:${layer}:${event}`)
}

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/
