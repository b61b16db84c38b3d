import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from './load.ts'
import { formatProblem } from './problem.ts'

const BASIC = { basic: { users_file: '/u' } }
const JWT = { issuer: 'i', audiences: ['a'], jwks_file: '/k' }

function problems(listener: object, more: object = {}): string {
  const config = {
    listeners: [{ name: 'http', address: '127.0.0.1:0', ...listener }],
    routes: [{ fixed_response: {} }],
    ...more,
  }
  const outcome = loadConfig(JSON.stringify(config), {
    file: 'g.yaml',
    environment: () => undefined,
  })
  return outcome.ok ? '' : outcome.problems.map(formatProblem).join('\n')
}

const GET = { actions: ['GET'], resources: ['/a'] }

for (const [why, listener, expected] of [
  ['a login', { authentication: BASIC }, /^$/],
  ['rules', { authorization: { allow: [GET] } }, /^$/],
  ['no way to log in', { authentication: {} }, /no way to log in/],
  ['an unknown way', { authentication: { digest: {} } }, /digest/],
  [
    'two places of keys',
    { authentication: { jwt: [{ ...JWT, jwks_url: 'http://a/' }] } },
    /exactly one of jwks_url, jwks_file/,
  ],
  [
    'no place of keys',
    { authentication: { jwt: [{ ...JWT, jwks_file: undefined }] } },
    /exactly one of jwks_url, jwks_file/,
  ],
  ['no audience', { authentication: { jwt: [{ ...JWT, audiences: [] }] } }, /audiences/],
  [
    'a URL with a password',
    { authentication: { jwt: [{ ...JWT, jwks_file: undefined, jwks_url: 'http://a:b@c/' }] } },
    /a URL without credentials/,
  ],
  [
    'certificates that nobody asks for',
    { authentication: { mtls: {} } },
    /mtls needs tls.client_ca_file/,
  ],
  [
    'a login where nothing is spoken',
    { protocol: 'raw', authentication: BASIC, raw_routes: [{ cluster: 'c' }] },
    /no effect on a raw listener/,
  ],
  ['no rules', { authorization: {} }, /no rules and no external service/],
  [
    'roles in a circle',
    { authorization: { roles: { a: { inherits: ['b'] }, b: { inherits: ['a'] } } } },
    /roles inherit in a circle: a → b → a/,
  ],
  [
    'a role that is not there',
    { authorization: { allow: [GET], anonymous_roles: ['x'] } },
    /role x is given to somebody/,
  ],
  [
    'a pattern that is none',
    { authorization: { allow: [{ ...GET, resources: ['/a**'] }] } },
    /stand alone/,
  ],
  [
    'a condition that asks nothing',
    { authorization: { allow: [{ ...GET, when: [{ attribute: 'claims.a' }] }] } },
    /asks nothing/,
  ],
  [
    'a time that is none',
    { authorization: { allow: [{ ...GET, when: [{ time: { from: '25:00', to: '26:00' } }] }] } },
    /'25:00' is not a time/,
  ],
  [
    'resources of an operation',
    { authorization: { allow: [{ ...GET, level: 'operation' }] } },
    /the level operation has no resources/,
  ],
] as const) {
  test(`access of a listener with ${why}: ${expected}`, () => {
    const clusters = [{ name: 'c', endpoints: ['127.0.0.1:1'] }]
    assert.match(problems(listener, { clusters }), expected)
  })
}

for (const [why, credentials, expected] of [
  ['a token', { bearer: { token_file: '/t' } }, /^$/],
  ['nothing', {}, /exactly one of basic, bearer, api_key, oauth/],
  [
    'two kinds',
    { bearer: { token_file: '/t' }, api_key: { key_file: '/k' } },
    /exactly one of basic, bearer, api_key, oauth/,
  ],
  [
    'no proof',
    { oauth: { token_url: 'https://a/t', client_id: 'c' } },
    /exactly one of client_secret_file, private_key_file/,
  ],
  ['a secret in the file itself', { bearer: { token: 'x' } }, /token/],
] as const) {
  test(`credentials of a cluster with ${why}: ${expected}`, () => {
    const clusters = [{ name: 'c', endpoints: ['127.0.0.1:1'], credentials }]
    assert.match(problems({}, { clusters }), expected)
  })
}
