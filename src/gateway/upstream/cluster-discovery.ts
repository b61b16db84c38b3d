/** The resolver that a cluster's `discovery` means, and what people call it. */
import type { Clock, Random } from '../../core/clock.ts'
import type { Resolver } from '../../core/policy.ts'
import { consul } from '../../discovery/consul.ts'
import { dns } from '../../discovery/dns.ts'
import { etcd } from '../../discovery/etcd.ts'
import { fileResolver } from '../../discovery/file.ts'
import { kubernetes } from '../../discovery/kubernetes.ts'
import { withNames } from '../../discovery/with-names.ts'
import { durationMs } from '../config/quantity.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'
import type { DiscoveryConfig } from '../config/schema/discovery.ts'

export interface DiscoveryEnvironment {
  readonly clock: Clock
  readonly random: Random
  /** Resolves host names that a source gives. */
  readonly names: Resolver
}

/** A resolver with the target that it is to watch. */
export interface DiscoverySource {
  readonly resolver: Resolver
  readonly target: string
}

/** @throws UsageError for what only the resolver can see */
export function discoverySource(
  config: DiscoveryConfig,
  { names, ...environment }: DiscoveryEnvironment,
): DiscoverySource {
  const { resolver, target } = sourceFor(config, environment)
  return { resolver: config.type === 'dns' ? resolver : withNames(resolver, names), target }
}

function sourceFor(config: DiscoveryConfig, environment: Clocked): DiscoverySource {
  switch (config.type) {
    case 'dns':
      return dnsSource(config, environment)
    case 'file': {
      const { file, refresh } = config
      const options = { ...environment, ...limitsOf(config), refreshMs: durationMs(refresh) }
      return { resolver: fileResolver(options), target: file }
    }
    case 'consul':
      return consulSource(config, environment)
    case 'etcd':
      return etcdSource(config, environment)
    case 'kubernetes':
      return kubernetesSource(config, environment)
  }
}

/** One line for logs and pages; no credentials. */
export function sourceOf({ discovery, endpoints }: ClusterConfig): string {
  switch (discovery?.type) {
    case undefined:
      return `${endpoints.length} configured`
    case 'dns':
      return `dns ${discovery.target}`
    case 'file':
      return `file ${discovery.file}`
    case 'consul':
      return `consul ${discovery.service}`
    case 'etcd':
      return `etcd ${discovery.prefix}`
    case 'kubernetes': {
      const { service, namespace, port } = discovery
      const where = namespace === undefined ? service : `${service}.${namespace}`
      return `kubernetes ${where}${port === undefined ? '' : `:${port}`}`
    }
  }
}

type Clocked = Omit<DiscoveryEnvironment, 'names'>
type Of<Type extends DiscoveryConfig['type']> = Extract<DiscoveryConfig, { type: Type }>

function dnsSource(config: Of<'dns'>, environment: Clocked): DiscoverySource {
  const { target, servers, min_ttl, max_ttl } = config
  const resolver = dns({
    ...environment,
    minTtlMs: durationMs(min_ttl),
    maxTtlMs: durationMs(max_ttl),
    ...(servers !== undefined && { servers }),
  })
  return { resolver, target }
}

function consulSource(config: Of<'consul'>, environment: Clocked): DiscoverySource {
  const { service, url, tags, datacenter, namespace, filter, stale, wait } = config
  const resolver = consul({
    ...environment,
    ...limitsOf(config),
    ...credentialsOf(config),
    url,
    tags,
    stale,
    waitMs: durationMs(wait),
    ...(datacenter !== undefined && { datacenter }),
    ...(namespace !== undefined && { namespace }),
    ...(filter !== undefined && { filter }),
  })
  return { resolver, target: service }
}

function etcdSource(config: Of<'etcd'>, environment: Clocked): DiscoverySource {
  const { prefix, urls, username, password, password_file, resync } = config
  const resolver = etcd({
    ...environment,
    ...limitsOf(config),
    url: urls,
    prefix,
    resyncMs: durationMs(resync),
    ...credentialsOf(config),
    ...(username !== undefined && {
      user: {
        name: username,
        ...(password !== undefined && { password }),
        ...(password_file !== undefined && { passwordFile: password_file }),
      },
    }),
  })
  return { resolver, target: prefix }
}

function kubernetesSource(config: Of<'kubernetes'>, environment: Clocked): DiscoverySource {
  const { service, namespace, port, family, url } = config
  const resolver = kubernetes({
    ...environment,
    ...limitsOf(config),
    ...credentialsOf(config),
    ...(namespace !== undefined && { namespace }),
    ...(family !== undefined && { family }),
    ...(url !== undefined && { url }),
  })
  return { resolver, target: port === undefined ? service : `${service}:${port}` }
}

function limitsOf(config: { max_endpoints: number; when_empty: 'accept' | 'keep' }) {
  return { maxEndpoints: config.max_endpoints, whenEmpty: config.when_empty }
}

function credentialsOf(config: {
  token?: string | undefined
  token_file?: string | undefined
  ca_file?: string | undefined
  cert_file?: string | undefined
  key_file?: string | undefined
}) {
  const { token, token_file: tokenFile, ca_file: caFile } = config
  const { cert_file: certFile, key_file: keyFile } = config
  return {
    ...(token !== undefined && { token }),
    ...(tokenFile !== undefined && { tokenFile }),
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
  }
}
