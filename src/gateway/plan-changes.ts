/**
 * What a reload changes, in words: for the log, for whoever asked for it, and to find out that
 * nothing changed at all.
 */
import { contentKey, type GatewayPlan, type PlannedCluster } from './gateway-plan.ts'

/** Empty: nothing. */
export function planChanges(before: GatewayPlan | undefined, after: GatewayPlan): string[] {
  if (before === undefined) return ['everything']
  const changes: string[] = []
  const compare = <Item>(
    kind: string,
    old: ReadonlyMap<string, Item>,
    now: ReadonlyMap<string, Item>,
    same: (a: Item, b: Item) => boolean,
  ): void => {
    for (const [name, item] of now) {
      const previous = old.get(name)
      if (previous === undefined) changes.push(`${kind} ${name} added`)
      else if (!same(previous, item)) changes.push(`${kind} ${name} changed`)
    }
    for (const name of old.keys()) if (!now.has(name)) changes.push(`${kind} ${name} removed`)
  }
  const listenersOf = (plan: GatewayPlan) =>
    new Map(
      plan.listeners.map((one) => [
        one.config.name,
        JSON.stringify(one.config) + contentKey(one, plan.files),
      ]),
    )
  compare('listener', listenersOf(before), listenersOf(after), (a, b) => a === b)
  compare('cluster', before.clusters, after.clusters, sameCluster)
  const whole = ['routes', 'admin', 'access_log', 'slow_log', 'audit_log', 'drain', 'demo'] as const
  for (const key of whole) {
    const old = JSON.stringify(before.config[key])
    if (old !== JSON.stringify(after.config[key])) changes.push(`${key} changed`)
  }
  if (changes.length === 0 && !before.files.equals(after.files)) changes.push('files changed')
  return changes
}

/** The key says whether it is the same one; what it is told may differ all the same. */
function sameCluster(a: PlannedCluster, b: PlannedCluster): boolean {
  return a.key === b.key && JSON.stringify(a.config) === JSON.stringify(b.config)
}
