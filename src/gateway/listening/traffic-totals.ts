/** The traffic of all listeners, those that are gone included, as one set of numbers. */
import type { TrafficTotals } from '../status.ts'
import type { GatewayListener } from './gateway-listener.ts'
import type { ListenerTraffic } from './listener-traffic.ts'

export function sumTraffic(
  everything: Iterable<ListenerTraffic>,
  listeners: Iterable<GatewayListener>,
): Omit<TrafficTotals, 'retries'> {
  const statusClasses = [0, 0, 0, 0, 0, 0]
  let requests = 0
  let activeRequests = 0
  let clientAborts = 0
  for (const traffic of everything) {
    traffic.statusClasses.forEach((count, index) => void (statusClasses[index]! += count))
    requests += traffic.requests
    activeRequests += traffic.active
    clientAborts += traffic.clientAborts
  }
  let openConnections = 0
  let totalConnections = 0
  let rawConnections = 0
  for (const listener of listeners) {
    const status = listener.status()
    openConnections += status.openConnections
    totalConnections += status.totalConnections
    rawConnections += listener.rawConnections
  }
  return {
    requests,
    statusClasses,
    activeRequests,
    openConnections,
    totalConnections,
    rawConnections,
    clientAborts,
  }
}
