/** The rows of discovery in the table of docs/policies.md: one for each source. */
import type { PolicyRow } from './policies.ts'

export const DISCOVERY_POLICIES: readonly PolicyRow[] = [
  {
    policy: 'Discovery: DNS (addresses, SRV), again as the TTL says',
    page: 'discovery.md#dns',
    marks: {
      client: {
        test: [
          'src/discovery/dns.test.ts',
          'dns reports every address and asks again when the shortest TTL is over',
        ],
        example: 'policies/discovery-dns.ts',
      },
      cluster: {
        test: [
          'test/gateway/discovery.test.ts',
          'a cluster resolves the host names that its source gives',
        ],
        example: 'gateway/discovery.yaml',
      },
    },
  },
  {
    policy: 'Discovery: a watched file',
    page: 'discovery.md',
    marks: {
      client: {
        test: [
          'test/discovery/file.test.ts',
          'fileResolver tells a change when the folder says so, once it has settled',
        ],
        example: 'policies/discovery.ts',
      },
      cluster: {
        test: [
          'test/gateway/discovery.test.ts',
          'a cluster follows a file, keeps its endpoints while it is wrong, and says the line',
        ],
        example: 'gateway/discovery.yaml',
      },
    },
  },
  {
    policy: 'Discovery: Consul (blocking queries)',
    page: 'discovery.md',
    marks: {
      client: {
        test: [
          'test/discovery/consul.test.ts',
          'consul asks with index and wait, and again when the wait is over',
        ],
        example: 'policies/discovery-consul.ts',
      },
      cluster: {
        test: [
          'test/gateway/discovery.test.ts',
          'a cluster follows Consul over real sockets, with a token that nobody sees',
        ],
        example: 'gateway/discovery.yaml',
      },
    },
  },
  {
    policy: 'Discovery: etcd v3 (watch)',
    page: 'discovery.md',
    marks: {
      client: {
        test: [
          'test/discovery/etcd.test.ts',
          'etcd reads the range below a prefix and follows it from the next revision',
        ],
        example: 'policies/discovery-etcd.ts',
      },
      cluster: {
        test: [
          'test/gateway/examples.test.ts',
          'discovery.yaml finds endpoints in a file, DNS and three registries',
        ],
        example: 'gateway/discovery.yaml',
      },
    },
  },
  {
    policy: 'Discovery: Kubernetes EndpointSlices (watch)',
    page: 'discovery.md',
    marks: {
      client: {
        test: [
          'test/discovery/kubernetes.test.ts',
          'kubernetes lists once and follows the watch: added, modified, deleted',
        ],
        example: 'policies/discovery-kubernetes.ts',
      },
      cluster: {
        test: [
          'test/gateway/discovery.test.ts',
          'a cluster follows Kubernetes over real sockets, and a reload that changes nothing keeps it',
        ],
        example: 'gateway/discovery.yaml',
      },
    },
  },
  {
    policy: 'Discovery: a registry of your own',
    page: 'discovery.md',
    marks: {
      client: {
        test: [
          'test/discovery/registry.test.ts',
          'registryResolver keeps the set on errors, waits longer',
        ],
        example: 'policies/discovery-registry.ts',
      },
    },
  },
]
