/** What making each connection took, for calls that waited for it. Forgotten with the connection. */

/** @param resource what the connect gave */
export function noteConnect(resource: object, startedAt: number, readyAt: number): void {
  TIMES.set(resource, { startedAt, readyAt })
}

/** How much of the time since `since` the resource was being made; 0: it was there already. */
export function connectTimeSince(resource: object, since: number): number {
  const times = TIMES.get(resource)
  if (times === undefined || times.readyAt <= since) return 0
  return times.readyAt - Math.max(times.startedAt, since)
}

const TIMES = new WeakMap<object, { readonly startedAt: number; readonly readyAt: number }>()
