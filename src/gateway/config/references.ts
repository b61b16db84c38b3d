/**
 * What the schema cannot see: names that must exist, names that must be unique, and settings that
 * contradict one another.
 */
import { formatAddress, parseAddress } from '../../core/address.ts'
import { parseDnsTarget } from '../../discovery/dns.ts'
import { isPrime } from '../../runtime/balancer/maglev.ts'
import { AccessPolicy } from '../../security/authorization/access-policy.ts'
import { accessPolicyOptions } from '../access/access-policy-options.ts'
import type { ConfigPath } from './problem.ts'
import { parseDuration } from './quantity.ts'
import type { AccessConfig } from './schema/access.ts'
import type { ClusterConfig } from './schema/cluster.ts'
import type { GatewayConfig } from './schema/gateway.ts'
import type { RawRouteConfig, RouteConfig } from './schema/route.ts'
import { nearest } from './suggestion.ts'

export interface ReferenceProblem {
  readonly path: ConfigPath
  readonly message: string
  readonly suggestion?: string | undefined
}

/** Clusters that `demo: true` brings. */
export const DEMO_CLUSTERS: readonly string[] = [
  'demo-api',
  'demo-echo',
  'demo-flaky',
  'demo-library',
]

export function checkReferences(config: GatewayConfig): ReferenceProblem[] {
  const problems: ReferenceProblem[] = []
  const report = (path: ConfigPath, message: string, suggestion?: string): void => {
    problems.push({ path, message, suggestion })
  }
  const clusters = new Set<string>(config.demo ? DEMO_CLUSTERS : [])
  config.clusters.forEach(({ name }, index) => {
    const path = ['clusters', index, 'name']
    if (config.demo && DEMO_CLUSTERS.includes(name)) {
      report(path, `'${name}' is the name of a demo cluster, and demo is true`)
    } else if (clusters.has(name)) report(path, `two clusters are named '${name}'`)
    clusters.add(name)
  })
  const check = (path: ConfigPath, name: string): void => {
    if (clusters.has(name)) return
    report(path, `no cluster is named '${name}'`, nearest(name, clusters))
  }
  checkRoutes(config.routes, ['routes'], check, report)
  checkListeners(config, check, report)
  checkClusters(config, report)
  checkAccess(config, report)
  return problems
}

type Report = (path: ConfigPath, message: string, suggestion?: string) => void
type CheckCluster = (path: ConfigPath, name: string) => void

function checkListeners(config: GatewayConfig, check: CheckCluster, report: Report): void {
  const names = new Set<string>()
  const addresses = new Map<string, string>()
  if (config.admin.enabled) addresses.set(addressKey(config.admin.address), 'admin')
  config.listeners.forEach((listener, index) => {
    const path = ['listeners', index]
    if (names.has(listener.name)) {
      report([...path, 'name'], `two listeners are named '${listener.name}'`)
    }
    names.add(listener.name)
    const key = addressKey(listener.address)
    const other = addresses.get(key)
    if (other !== undefined && !key.endsWith(':0')) {
      report([...path, 'address'], `${listener.address} is the address of ${other} as well`)
    }
    addresses.set(key, `listener ${listener.name}`)
    if (listener.routes !== undefined) {
      checkRoutes(listener.routes, [...path, 'routes'], check, report)
    }
    checkRawRoutes(listener.raw_routes, [...path, 'raw_routes'], check, report)
    const speaksHttp = listener.protocol !== 'raw'
    if (speaksHttp && listener.routes === undefined && config.routes.length === 0) {
      report(path, `listener '${listener.name}' has no routes, and there are no shared ones`)
    }
    if (listener.protocol === 'raw' && listener.tls !== undefined) {
      const at = listener.raw_routes.findIndex(({ match }) => match.sni !== undefined)
      if (at >= 0) {
        const message = 'sni is read from TLS that passes through; this listener ends TLS itself'
        report([...path, 'raw_routes', at, 'match', 'sni'], message)
      }
    }
  })
}

function checkRoutes(
  routes: readonly RouteConfig[],
  base: ConfigPath,
  check: CheckCluster,
  report: Report,
): void {
  const names = new Set<string>()
  routes.forEach((route, index) => {
    const path = [...base, index]
    if (route.name !== undefined) {
      if (names.has(route.name)) report([...path, 'name'], `two routes are named '${route.name}'`)
      names.add(route.name)
    }
    if (route.cluster !== undefined) check([...path, 'cluster'], route.cluster)
    route.weighted_clusters?.forEach(({ name }, at) => {
      check([...path, 'weighted_clusters', at, 'name'], name)
    })
    const weights = route.weighted_clusters
    if (weights?.every(({ weight }) => weight === 0)) {
      report([...path, 'weighted_clusters'], 'every weight is 0')
    }
    if (route.mirror !== undefined) check([...path, 'mirror', 'cluster'], route.mirror.cluster)
    for (const [name, part] of Object.entries(route.aggregate?.parts ?? {})) {
      const at = [...path, 'aggregate', 'parts', name]
      check([...at, 'cluster'], part.cluster)
      checkNames(route, part.path, [...at, 'path'], report)
      for (const [field, value] of Object.entries(part.query ?? {})) {
        if (value.startsWith(':')) checkNames(route, `/${value}`, [...at, 'query', field], report)
      }
    }
    checkRewrite(route, path, report)
    checkPattern(route, path, report)
  })
}

function checkRewrite(route: RouteConfig, path: ConfigPath, report: Report): void {
  const answersItself = route.redirect !== undefined || route.fixed_response !== undefined
  if (answersItself) {
    for (const key of ['rewrite', 'mirror', 'request_headers', 'cache'] as const) {
      if (route[key] === undefined) continue
      report([...path, key], `${key} has no effect on a route that answers by itself`)
    }
  }
  const { redirect, rewrite, match } = route
  if (redirect?.path !== undefined && redirect.prefix_rewrite !== undefined) {
    report([...path, 'redirect'], 'a redirect has at most one of path, prefix_rewrite')
  }
  if (redirect !== undefined && Object.keys(redirect).length === 2) {
    // Only the two keys with defaults: it would send the client where it already is.
    report([...path, 'redirect'], 'a redirect changes scheme, host, port or path')
  }
  if (rewrite?.prefix !== undefined && match.pattern !== undefined) {
    report([...path, 'rewrite', 'prefix'], 'a pattern has no prefix; use rewrite.path')
  }
  if (rewrite !== undefined && route.aggregate !== undefined) {
    report([...path, 'rewrite'], 'has no effect on an aggregate: its parts have paths of their own')
  }
  checkNames(route, rewrite?.path, [...path, 'rewrite', 'path'], report)
}

/** What a path inserts must be matched by the pattern. */
function checkNames(
  { match }: RouteConfig,
  template: string | undefined,
  path: ConfigPath,
  report: Report,
): void {
  if (template === undefined) return
  const known = new Set((match.pattern ?? '').match(PATTERN_NAMES) ?? [])
  for (const name of template.match(PATTERN_NAMES) ?? []) {
    if (known.has(name)) continue
    report(path, `${name} is not in the pattern`, nearest(name, known))
  }
  if (template.endsWith('/*') && !match.pattern?.endsWith('/*')) {
    report(path, "'*' needs a pattern that ends with /*")
  }
}

function checkPattern(route: RouteConfig, path: ConfigPath, report: Report): void {
  const { pattern } = route.match
  if (pattern === undefined) return
  const at = [...path, 'match', 'pattern']
  const segments = pattern.split('/').slice(1)
  const names = new Set<string>()
  segments.forEach((segment, index) => {
    if (segment === '*' && index < segments.length - 1) {
      report(at, "'*' stands for the rest and can only be last; ':name' is one segment")
    } else if (segment !== '*' && segment.includes('*')) {
      report(at, `'${segment}': '*' stands alone in a segment`)
    }
    if (!segment.startsWith(':')) return
    if (!/^:[A-Za-z_]\w*$/.test(segment)) report(at, `'${segment}' is not ':' and a name`)
    if (names.has(segment)) report(at, `'${segment}' is there twice`)
    names.add(segment)
  })
}

function checkRawRoutes(
  routes: readonly RawRouteConfig[],
  base: ConfigPath,
  check: CheckCluster,
  report: Report,
): void {
  routes.forEach((route, index) => {
    check([...base, index, 'cluster'], route.cluster)
    const catchesAll = route.match.sni === undefined && route.match.alpn === undefined
    if (catchesAll && index < routes.length - 1) {
      report([...base, index], 'matches everything: the raw routes after it are never reached')
    }
  })
}

function checkClusters(config: GatewayConfig, report: Report): void {
  config.clusters.forEach((cluster, index) => {
    const path = ['clusters', index]
    const { tls, retry_policy: retry, circuit_breakers: breakers } = cluster
    const { endpoints, discovery } = cluster
    if (endpoints.length === 0 && discovery === undefined) {
      report([...path, 'endpoints'], 'a cluster needs an endpoint, or discovery')
    }
    if (endpoints.length > 0 && discovery !== undefined) {
      report([...path, 'discovery'], 'a cluster has either endpoints or discovery, not both')
    }
    if (discovery !== undefined && 'cert_file' in discovery !== 'key_file' in discovery) {
      report([...path, 'discovery'], 'cert_file and key_file go together')
    }
    if (discovery?.type === 'dns') {
      atMost(
        [...path, 'discovery'],
        { min_ttl: discovery.min_ttl },
        { max_ttl: discovery.max_ttl },
        report,
      )
      checkDnsTarget([...path, 'discovery', 'target'], discovery.target, report)
    }
    if (tls !== undefined && (tls.cert_file === undefined) !== (tls.key_file === undefined)) {
      report([...path, 'tls'], 'cert_file and key_file go together')
    }
    const { base_interval, max_interval } = retry.retry_back_off
    atMost([...path, 'retry_policy', 'retry_back_off'], { base_interval }, { max_interval }, report)
    const { open_time, max_open_time } = breakers
    atMost([...path, 'circuit_breakers'], { open_time }, { max_open_time }, report)
    const outlier = cluster.outlier_detection
    if (outlier !== undefined) {
      const { base_ejection_time, max_ejection_time } = outlier
      const at = [...path, 'outlier_detection']
      atMost(at, { base_ejection_time }, { max_ejection_time }, report)
    }
    checkBalancing(cluster, path, report)
    cluster.health_checks.forEach((check, at) => {
      for (const range of check.expected_statuses) {
        if (typeof range !== 'string' || Number(range.slice(0, 3)) <= Number(range.slice(4)))
          continue
        report([...path, 'health_checks', at, 'expected_statuses'], `${range} is empty`)
      }
    })
  })
}

/** Rules that contradict themselves are found here, before any file is read. */
function checkAccess({ listeners, routes }: GatewayConfig, report: Report): void {
  const check = ({ authorization }: AccessConfig, path: ConfigPath): void => {
    if (authorization === undefined) return
    try {
      new AccessPolicy(accessPolicyOptions(authorization))
    } catch (error) {
      report([...path, 'authorization'], (error as Error).message)
    }
  }
  routes.forEach((route, index) => void check(route, ['routes', index]))
  listeners.forEach((listener, index) => {
    check(listener, ['listeners', index])
    const own = listener.routes ?? []
    own.forEach((route, at) => void check(route, ['listeners', index, 'routes', at]))
    if (listener.protocol === 'raw' && listener.authentication !== undefined) {
      const message = 'authentication has no effect on a raw listener: nobody logs in there'
      report(['listeners', index, 'authentication'], message)
    }
    const mtls = [listener, ...own].some(({ authentication }) => authentication?.mtls !== undefined)
    if (mtls && listener.tls?.client_ca_file === undefined) {
      const message = 'mtls needs tls.client_ca_file: no client would be asked for a certificate'
      report(['listeners', index], message)
    }
  })
}

/** What of balancing does not go together. */
function checkBalancing(cluster: ClusterConfig, path: ConfigPath, report: Report): void {
  const { lb_policy, hash_policy, maglev, subset } = cluster
  const hashes = lb_policy === 'ring_hash' || lb_policy === 'maglev'
  if (hashes && hash_policy.length === 0) {
    report([...path, 'lb_policy'], `${lb_policy} needs a hash_policy to take a key from`)
  }
  if (!hashes && hash_policy.length > 0) {
    report([...path, 'hash_policy'], `has no effect with lb_policy ${lb_policy}`)
  }
  if (!hashes && cluster.hash_balance_factor !== undefined) {
    report([...path, 'hash_balance_factor'], `has no effect with lb_policy ${lb_policy}`)
  }
  if (hashes) {
    for (const name of ['slow_start', 'locality', 'subset'] as const) {
      if (cluster[name] !== undefined) {
        report([...path, name], `does not go with ${lb_policy}: it would move keys`)
      }
    }
  }
  if (lb_policy === 'maglev' && !isPrime(maglev.table_size)) {
    report([...path, 'maglev', 'table_size'], `${maglev.table_size} is not a prime`)
  }
  if (subset !== undefined && subset.client >= subset.clients) {
    const { client, clients } = subset
    report([...path, 'subset', 'client'], `${client} is not below clients ${clients}`)
  }
  if (subset !== undefined && cluster.locality !== undefined) {
    report([...path, 'subset'], 'does not go with locality')
  }
}

function checkDnsTarget(path: ConfigPath, target: string, report: Report): void {
  try {
    parseDnsTarget(target)
  } catch (error) {
    report(path, (error as Error).message)
  }
}

/** Reports when the first duration is longer than the second. */
function atMost(
  path: ConfigPath,
  smaller: Readonly<Record<string, string>>,
  larger: Readonly<Record<string, string>>,
  report: Report,
): void {
  const [smallName, small] = Object.entries(smaller)[0] as [string, string]
  const [largeName, large] = Object.entries(larger)[0] as [string, string]
  if ((parseDuration(small) ?? 0) <= (parseDuration(large) ?? 0)) return
  report([...path, smallName], `${smallName} ${small} is longer than ${largeName} ${large}`)
}

function addressKey(address: string): string {
  try {
    return formatAddress(parseAddress(address))
  } catch {
    return address // systemd:name and fd:3
  }
}

const PATTERN_NAMES = /(?<=\/):[A-Za-z_]\w*/g
