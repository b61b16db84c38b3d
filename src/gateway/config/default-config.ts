/**
 * The built-in configuration: `examples/gateway/default.yaml`, word for word (a test compares them),
 * here because an installed package must not depend on where its examples are.
 */
export const DEFAULT_CONFIG: string = `# What \`heddle up\` runs when it is given no file: three demo upstreams in the same process, a
# gateway in front of them, all on loopback.
#
# Each address is changed by a flag (--http, --https, --admin) or by an environment variable.
admin:
  address: \${HEDDLE_ADMIN:-127.0.0.1:9901}

# Brings the clusters demo-api, demo-echo and demo-flaky.
demo: true

listeners:
  - name: http
    address: \${HEDDLE_HTTP:-127.0.0.1:8080}
  - name: https
    address: \${HEDDLE_HTTPS:-127.0.0.1:8443}
    tls:
      development: true # a certificate for localhost, made at the start, kept in memory

routes:
  - name: api
    match: { prefix: /api }
    cluster: demo-api
    rewrite: { prefix: / }
  - name: echo
    match: { prefix: /echo }
    cluster: demo-echo
  - name: flaky # fails on and off: watch retries and breakers on the dashboard
    match: { prefix: /flaky }
    cluster: demo-flaky
    timeout: 2s
  - name: split # three of four requests go to the API, one to the echo
    match: { prefix: /split }
    weighted_clusters:
      - { name: demo-api, weight: 3 }
      - { name: demo-echo, weight: 1 }
    rewrite: { path: /hello }
  - name: old # 308 to /api
    match: { prefix: /old }
    redirect: { prefix_rewrite: /api }
  - name: home
    match: { path: / }
    fixed_response:
      body: |
        heddle is running. Try:
          /api/hello   /api/time   /api/users/42   a JSON API with two endpoints
          /echo                                    gives back what you send
          /flaky                                   fails on and off, retried for you
          /split                                   an A/B split, 3 to 1
          /old/hello                               a redirect
`
