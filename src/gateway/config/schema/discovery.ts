/**
 * `clusters[].discovery`: where the endpoints of a cluster come from when the file does not list
 * them. docs/discovery.md has what each registry promises.
 */
import { z } from 'zod'
import { address, count, duration, fileName } from './primitives.ts'

const maxEndpoints = () => count(1, 100_000).default(10_000).describe('More are refused whole')

const whenEmpty = () =>
  z
    .enum(['accept', 'keep'])
    .default('accept')
    .describe('An answer that nobody is there: believed, or the last endpoints are kept')

const url = (text: string) =>
  z
    .string()
    .regex(/^https?:\/\/[^/@?#\s]+\/?$/, 'expected http://host:port or https://host:port')
    .describe(text)

const registryTls = {
  ca_file: fileName()
    .optional()
    .describe('https: trust these certificates instead of the system’s'),
  cert_file: fileName().optional().describe('https: client certificate chain, PEM'),
  key_file: fileName().optional().describe('Its private key, PEM'),
}

const secretText = () => z.string().min(1)

const dnsDiscovery = z
  .strictObject({
    type: z.literal('dns'),
    target: z
      .string()
      .min(1)
      .describe('host:port, or _service._tcp.name for SRV records with ports and weights'),
    servers: z.array(address()).min(1).max(16).optional().describe('Default the system’s'),
    min_ttl: duration(100).default('5s').describe('Answers are kept at least so long'),
    max_ttl: duration(100).default('5m'),
  })
  .describe('Addresses from DNS')

const fileDiscovery = z
  .strictObject({
    type: z.literal('file'),
    file: fileName().describe('YAML or JSON: a list of endpoints, or endpoints: with one'),
    refresh: duration(100).default('5s').describe('Read again at least so often'),
    when_empty: whenEmpty(),
    max_endpoints: maxEndpoints(),
  })
  .describe('A file that something else writes')

const consulDiscovery = z
  .strictObject({
    type: z.literal('consul'),
    service: z.string().min(1).max(512),
    url: url('The agent of this machine, usually').default('http://127.0.0.1:8500'),
    tags: z.array(z.string().min(1)).max(32).default([]).describe('Instances have all of these'),
    datacenter: z.string().min(1).optional().describe('Default the agent’s own'),
    namespace: z.string().min(1).optional(),
    filter: z.string().min(1).optional().describe('An expression that Consul evaluates'),
    stale: z.boolean().default(true).describe('Any server may answer, not only the leader'),
    wait: duration(1_000).default('5m').describe('Longest a query blocks; at most 10m'),
    token: secretText().optional(),
    token_file: fileName().optional().describe('Read for each request'),
    ...registryTls,
    when_empty: whenEmpty(),
    max_endpoints: maxEndpoints(),
  })
  .refine((one) => one.token === undefined || one.token_file === undefined, {
    error: 'token and token_file exclude one another',
  })
  .describe('Instances of a service that pass their checks')

const etcdDiscovery = z
  .strictObject({
    type: z.literal('etcd'),
    prefix: z.string().min(1).max(1_024).describe('Keys below it; their values are endpoints'),
    urls: z.array(url('A member of the cluster')).min(1).max(16).default(['http://127.0.0.1:2379']),
    username: z.string().min(1).optional(),
    password: secretText().optional(),
    password_file: fileName().optional().describe('Read for each token'),
    resync: duration(1_000).default('5m').describe('The whole prefix is read again after this'),
    ...registryTls,
    when_empty: whenEmpty(),
    max_endpoints: maxEndpoints(),
  })
  .refine(
    (one) =>
      (one.username !== undefined) ===
        (one.password !== undefined || one.password_file !== undefined) &&
      (one.password === undefined || one.password_file === undefined),
    { error: 'username goes with one of password, password_file' },
  )
  .describe('Keys below a prefix of etcd v3')

const kubernetesDiscovery = z
  .strictObject({
    type: z.literal('kubernetes'),
    service: z
      .string()
      .regex(/^[a-z0-9-]{1,63}$/, 'the name of a Service, without namespace')
      .describe('Its EndpointSlices are watched'),
    namespace: z.string().min(1).max(63).optional().describe('Default the pod’s own'),
    port: z
      .union([z.string().regex(/^[a-z0-9-]{1,15}$/), count(1, 65_535)])
      .optional()
      .describe('Name or number of a port of the pods; default their only one'),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('Of pods with two addresses; default IPv4 where there is one'),
    url: url('Default, in a pod: the API server as the pod is told').optional(),
    token: secretText().optional(),
    token_file: fileName()
      .optional()
      .describe('Read for each request; default, in a pod, the service account’s'),
    ...registryTls,
    ca_file: fileName().optional().describe('Default, in a pod, the service account’s'),
    when_empty: whenEmpty(),
    max_endpoints: maxEndpoints(),
  })
  .refine((one) => one.token === undefined || one.token_file === undefined, {
    error: 'token and token_file exclude one another',
  })
  .describe('Pods of a Service that are ready')

export const discovery = z
  .discriminatedUnion('type', [
    dnsDiscovery,
    fileDiscovery,
    consulDiscovery,
    etcdDiscovery,
    kubernetesDiscovery,
  ])
  .describe('Finds the endpoints and follows them, instead of a list')

export type DiscoveryConfig = z.output<typeof discovery>
