/** The configurations of examples/gateway that a test starts and calls. */
export const GATEWAY_EXAMPLES = [
  'access.yaml',
  'aggregation.yaml',
  'balancing.yaml',
  'behind-proxy.yaml',
  'caching.yaml',
  'default.yaml',
  'dependable.yaml',
  'discovery.yaml',
  'edge.yaml',
  'grpc.yaml',
  'guarded.yaml',
  'http2.yaml',
  'layer4.yaml',
  'load.yaml',
  'observed.yaml',
  'policy-service.yaml',
  'pools.yaml',
  'release.yaml',
  // By transcoding-page.test.ts, with every command of its page.
  'transcoding.yaml',
  // By dependable-route.test.ts, with every command of its page.
  'dependable-route.yaml',
] as const
