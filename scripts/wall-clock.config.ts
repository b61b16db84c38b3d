/**
 * Who may ask for the wall clock, and what for. It may jump, so nothing that waits, counts or decides
 * by the time that has passed is here: deadlines, timeouts, retries, breakers, limits, lockouts and
 * caches live on the monotonic clock. `scripts/layers.ts` enforces it.
 */

/** File to its reason. */
export const WALL_CLOCK: Readonly<Record<string, string>> = {
  // For people.
  'src/gateway/admin/admin-service.ts': 'since when an endpoint is in its state, shown by pages',
  'src/gateway/admin/snapshot.ts': 'the time that pages show',
  'src/gateway/demo/demo-upstreams.ts': 'a demo answers what time it is',
  'src/gateway/gateway.ts': 'when it was started and loaded, shown by pages',
  'src/gateway/gateway-registry.ts': 'timestamps of exemplars, handed to the registry',
  'src/gateway/recent-errors.ts': 'when an error was, shown by pages',
  'src/servers/grpc/channelz/call-counter.ts': 'when the last call came, shown by channelz',
  'src/servers/grpc/channelz/grpc-channelz.ts': 'when a channel was made, shown by channelz',
  'src/servers/http/http-server.ts': 'the Date field (RFC 9110 6.6.1)',
  'src/telemetry/instruments.ts': 'timestamps of exemplars',
  'src/telemetry/log.ts': 'timestamps of lines',
  'src/telemetry/registry.ts': 'timestamps of exemplars, handed to instruments',
  'src/security/audit/audit-log.ts': 'timestamps of records and checkpoints; order is their number',

  // Dates that others have written.
  'src/cli/block.ts': 'the timestamp of a new block, and the age of one',
  'src/cli/run.ts': 'heddle check: certificates that end',
  'src/clients/grpc-js/grpc-js-client.ts':
    'deadlines of grpc-js are dates: a length of time is made',
  'src/clients/http/http-client.ts': 'Retry-After as a date, handed to the classifier',
  'src/gateway/upstream/cluster.ts': 'Retry-After as a date, handed to the classifier',
  'src/links/blocks/block-messages.ts': 'blocks carry Unix seconds, and may not be far from now',
  'src/links/blocks/block-socket.ts': 'the timestamp of an acknowledgement, which is a block',
  'src/links/blocks/negotiate.ts': 'a hello carries Unix seconds, which the peer compares',
  'src/protocols/http/caching/http-cache.ts': 'If-Modified-Since of clients, a date in two digits',
  'src/protocols/http/caching/origin-fetch.ts':
    'Date and Expires of a response; from then on its age is counted by the monotonic clock',
  'src/protocols/http/classifier.ts': 'Retry-After as a date becomes a length of time, bounded',
  'src/runtime/middleware/authorization.ts': 'windows of time in rules: office hours',
  'src/runtime/patterns/outbox.ts': 'age of what an earlier process left on disk',
  'src/security/dev-certificate.ts': 'validity of certificates',
  'src/security/identity/api-keys.ts': 'expiry of keys, a date in a file',
  'src/security/identity/jwt-verifier.ts': 'exp, nbf and iat of tokens (RFC 7519)',
  'src/security/oauth/client-assertion.ts': 'exp and iat of an assertion (RFC 7523)',
  'src/servers/grpc-js/server-calls.ts': 'getDeadline of grpc-js is a date',
  'src/transports/quic/openssl/self-test.ts': 'validity of the certificate of the self-test',
  'src/transports/tls/certificate-files.ts': 'certificates that have ended',
  'src/transports/tls/expiry-watch.ts': 'certificates that end; looked at by the monotonic clock',
  'src/transports/tls/ticket-keys.ts':
    'periods of keys that machines share, which have no other clock',

  // Both clocks on purpose.
  'src/runtime/pool-probes.ts': 'a process that stood still is found by what the clocks tell apart',
  'src/runtime/wheel-clock.ts': 'hands the clock through',
}

/** Files that bring both clocks together on purpose. */
export const MIXED_CLOCKS: Readonly<Record<string, string>> = {
  'src/runtime/clock-jump.ts': 'the difference of both is what it looks at',
}
