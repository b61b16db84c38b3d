/**
 * `authentication` and `authorization` of listeners and routes, `credentials` of clusters. Whatever is
 * secret stands in files of its own.
 */
import { z } from 'zod'
import { cidr, count, duration, fileName, headerName } from './primitives.ts'

const httpUrl = () =>
  z
    .string()
    .refine((text) => ['http:', 'https:'].includes(URL.parse(text)?.protocol ?? ''), {
      error: 'an http:// or https:// URL',
    })
    .refine((text) => URL.parse(text)?.username === '', { error: 'a URL without credentials' })

const basic = z
  .strictObject({
    users_file: fileName().describe(
      'A line for each user: name:hash[:role,role], scrypt or argon2id',
    ),
    remember: duration(0)
      .default('60s')
      .describe('How long a right password needs no new check, which takes memory and time'),
  })
  .describe('Name and password with every request (RFC 7617); over TLS only')

const jwt = z
  .strictObject({
    issuer: z.string().min(1).describe('iss must be this'),
    audiences: z.array(z.string().min(1)).min(1).max(32).describe('aud must name one of these'),
    jwks_url: httpUrl().optional().describe('The issuer’s keys, fetched and kept'),
    jwks_file: fileName().optional().describe('Its keys, in a file'),
    ca_file: fileName().optional().describe('Trust these for jwks_url instead of the system’s'),
    jwks_max_age: duration(0).default('10m').describe('Use keys this long before asking again'),
    jwks_max_stale: duration(0).default('1h').describe('And this much longer while that fails'),
    jwks_cooldown: duration(0)
      .default('30s')
      .describe('Least time between two fetches, whatever key ids tokens name'),
    jwks_timeout: duration(1).default('5s'),
    algorithms: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('Default RS, PS, ES and EdDSA; never none or HMAC'),
    clock_tolerance: duration(0).default('30s'),
    max_token_age: duration(1).optional().describe('By iat; default what exp says'),
    required_claims: z.array(z.string().min(1)).max(32).default([]),
    type: z.string().optional().describe('typ of the header, as at+jwt; default any'),
    id_claim: z
      .string()
      .min(1)
      .default('sub')
      .describe('Names the principal; with several issuers, behind the issuer and a bar'),
    roles_claim: z.string().min(1).default('roles').describe('realm.roles looks into objects'),
  })
  .refine(
    (value) => (value.jwks_url === undefined) !== (value.jwks_file === undefined),
    'a jwt has exactly one of jwks_url, jwks_file',
  )
  .describe('Bearer tokens of one issuer (RFC 6750, RFC 7519)')

const apiKeys = z
  .strictObject({
    file: fileName().describe('A line for each key: id:sha256[:role,role[:name[:expires]]]'),
    header: headerName().default('x-api-key'),
  })
  .describe('Keys of programs, in a header')

const mtls = z
  .strictObject({
    sources: z
      .array(z.enum(['spiffe', 'uri', 'dns', 'email', 'common-name', 'fingerprint']))
      .min(1)
      .default(['spiffe', 'dns', 'email', 'common-name'])
      .describe('Where the name is looked for; the first that is there counts'),
    trust_domains: z.array(z.string().min(1)).min(1).optional().describe('Of SPIFFE IDs'),
    roles: z
      .record(z.string(), z.array(z.string().min(1)))
      .default({})
      .describe('By name'),
    known_only: z.boolean().default(false).describe('Refuse names that roles does not have'),
  })
  .describe('The client certificate; tls.client_ca_file says whose are believed')

const lockout = z
  .strictObject({
    max_failures: count(1, 1_000_000).default(5).describe('Of one name from one address'),
    max_failures_per_address: count(1, 1_000_000).default(100).describe('Of any name'),
    window: duration(1).default('15m').describe('How long a failure counts'),
    lock: duration(1).default('30s').describe('The first wait; doubles with each'),
    max_lock: duration(1).default('1h'),
  })
  .describe('Waiting after failed logins')

export const authentication = z
  .strictObject({
    realm: z
      .string()
      .regex(/^[\x20-\x7e]{1,128}$/, 'a realm is 1 to 128 printable ASCII characters')
      .default('heddle'),
    mtls: mtls.optional(),
    jwt: z.array(jwt).max(16).default([]).describe('Issuers, tried in order'),
    api_keys: apiKeys.optional(),
    basic: basic.optional(),
    anonymous: z
      .boolean()
      .default(false)
      .describe('Let callers in that bring no credentials; wrong ones are refused all the same'),
    keep_credentials: z.boolean().default(false).describe('Send them upstream as they came'),
    principal_headers: z
      .strictObject({
        id: headerName().optional(),
        roles: headerName().optional().describe('With commas between'),
        method: headerName().optional().describe('basic, bearer, api-key or mtls'),
      })
      .prefault({})
      .describe(
        'Tell the upstream who calls; what clients send in these is removed from every request of ' +
          'the gateway',
      ),
    lockout: lockout.optional(),
  })
  .refine(
    (value) =>
      value.anonymous ||
      value.mtls !== undefined ||
      value.jwt.length > 0 ||
      value.api_keys !== undefined ||
      value.basic !== undefined,
    'authentication has no way to log in, and is not anonymous: nobody could call',
  )
  .describe('Who calls: tried in the order mtls, jwt, api_keys, basic')

const scalar = z.union([z.string(), z.number(), z.boolean()])

const condition = z
  .strictObject({
    attribute: z
      .string()
      .optional()
      .describe('principal.id, principal.method or claims.<name>; dots go into objects'),
    equals: scalar.optional(),
    in: z.array(scalar).min(1).max(1_000).optional(),
    present: z.boolean().optional(),
    at_least: z.number().optional(),
    at_most: z.number().optional(),
    above: z.number().optional(),
    below: z.number().optional(),
    cidr: z.array(cidr()).min(1).max(1_000).optional().describe('The client’s address'),
    time: z
      .strictObject({
        from: z.string().describe('HH:MM'),
        to: z.string().describe('HH:MM; before from: over midnight'),
        days: z
          .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
          .min(1)
          .optional(),
        zone: z.string().default('UTC').describe('IANA name'),
      })
      .optional(),
  })
  .describe('One question; what cannot be answered is held against the caller')

const accessRule = z.strictObject({
  name: z.string().min(1).max(128).optional().describe('For the audit log'),
  level: z
    .enum(['connection', 'operation', 'resource'])
    .default('resource')
    .describe('connection: action connect, resource the listener. operation: no resources'),
  actions: z.array(z.string().min(1)).min(1).max(64).describe('Methods; * is any'),
  resources: z
    .array(z.string().min(1))
    .min(1)
    .max(256)
    .optional()
    .describe('Paths: * within a segment, ** any segments, {id} the caller’s id'),
  when: z.array(condition).max(16).optional().describe('All of them must hold'),
})

const role = z.strictObject({
  inherits: z.array(z.string().min(1)).max(64).default([]),
  allow: z.array(accessRule).max(256).default([]),
  deny: z.array(accessRule).max(256).default([]),
})

const external = z
  .strictObject({
    url: httpUrl().describe('Asked with POST {"input": …}, as Open Policy Agent is'),
    ca_file: fileName().optional(),
    timeout: duration(1).default('500ms'),
    allow_ttl: duration(0).default('5s').describe('How long a permission is remembered'),
    deny_ttl: duration(0).default('1s').describe('How long a denial is'),
    max_cached: count(0, 1_000_000).default(10_000),
    on_failure: z
      .enum(['deny', 'allow'])
      .default('deny')
      .describe('allow: an outage of the service opens every door'),
  })
  .describe('A policy service, asked for what the rules here allow')

export const authorization = z
  .strictObject({
    roles: z.record(z.string().min(1), role).default({}),
    allow: z.array(accessRule).max(256).default([]).describe('For everybody who is logged in'),
    deny: z.array(accessRule).max(256).default([]).describe('For everybody'),
    assignments: z
      .array(
        z.strictObject({
          principal: z.string().min(1),
          method: z.string().optional().describe('Ids are unique only within one'),
          roles: z.array(z.string().min(1)).min(1),
        }),
      )
      .max(10_000)
      .default([])
      .describe('Roles besides those that the login brings'),
    anonymous_roles: z.array(z.string().min(1)).default([]),
    trust_login_roles: z.boolean().default(true).describe('false: only assignments count'),
    external: external.optional(),
  })
  .refine(
    (value) =>
      value.external !== undefined ||
      Object.keys(value.roles).length + value.allow.length + value.deny.length > 0,
    'authorization has no rules and no external service: nobody could do anything',
  )
  .describe('Who may do what: a denial always wins, and what nothing allows is denied')

const oauth = z
  .strictObject({
    token_url: httpUrl(),
    ca_file: fileName().optional(),
    client_id: z.string().min(1),
    client_secret_file: fileName().optional(),
    private_key_file: fileName().optional().describe('PEM, for private_key_jwt'),
    key_id: z.string().optional(),
    authentication: z
      .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt'])
      .optional()
      .describe('Default private_key_jwt with a key, otherwise client_secret_basic'),
    scope: z.string().optional(),
    parameters: z.record(z.string(), z.string()).default({}).describe('audience, resource'),
    margin: duration(0).default('30s').describe('A token is not used this long before its end'),
    timeout: duration(1).default('10s'),
  })
  .refine(
    (value) => (value.client_secret_file === undefined) !== (value.private_key_file === undefined),
    'oauth has exactly one of client_secret_file, private_key_file',
  )
  .describe('OAuth 2.0 client credentials (RFC 6749 4.4)')

export const upstreamCredentials = z
  .strictObject({
    basic: z.strictObject({ username: z.string().min(1), password_file: fileName() }).optional(),
    bearer: z.strictObject({ token_file: fileName() }).optional(),
    api_key: z
      .strictObject({ key_file: fileName(), header: headerName().default('x-api-key') })
      .optional(),
    oauth: oauth.optional(),
  })
  .refine(
    (value) => Object.values(value).filter((one) => one !== undefined).length === 1,
    'credentials has exactly one of basic, bearer, api_key, oauth',
  )
  .describe('What the gateway shows to the endpoints; what clients sent in its place is removed')

export type AuthenticationConfig = z.output<typeof authentication>
export type AuthorizationConfig = z.output<typeof authorization>
export type AccessRuleConfig = z.output<typeof accessRule>
export type UpstreamCredentialsConfig = z.output<typeof upstreamCredentials>

/** What a listener and a route say about access. */
export interface AccessConfig {
  readonly authentication?: AuthenticationConfig | undefined
  readonly authorization?: AuthorizationConfig | undefined
}
