/**
 * `credentials` of a cluster made ready: what the gateway shows to its endpoints.
 */
import {
  apiKeyCredentials,
  basicCredentials,
  bearerCredentials,
  type ClientCredentials,
} from '../../clients/http/credentials.ts'
import { type HttpClient, httpClient } from '../../clients/http/http-client.ts'
import { oauthTokens } from '../../clients/http/oauth-tokens.ts'
import type { Clock } from '../../core/clock.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest } from '../../protocols/http/messages.ts'
import { durationMs } from '../config/quantity.ts'
import type { UpstreamCredentialsConfig } from '../config/schema/access.ts'
import { deleteSpellings } from '../http/header-kind.ts'

export interface ClusterCredentials {
  readonly middleware: ClientCredentials
  close(): void
}

/** @param fileText content of a file that was read beforehand */
export function clusterCredentials(
  config: UpstreamCredentialsConfig,
  clock: Clock,
  fileText: (name: string) => string,
): ClusterCredentials {
  // The line feed that editors put at the end of a file is no part of a secret.
  const secret = (name: string): string => fileText(name).replace(/\r?\n$/, '')
  const { basic, bearer, api_key: key, oauth } = config
  if (basic !== undefined) {
    return own('authorization', basicCredentials(basic.username, secret(basic.password_file)))
  }
  if (bearer !== undefined) {
    return own('authorization', bearerCredentials(secret(bearer.token_file)))
  }
  if (key !== undefined) {
    const { header } = key
    return own(header, apiKeyCredentials(secret(key.key_file), { header }))
  }
  return oauthCredentials(oauth as NonNullable<typeof oauth>, clock, secret)
}

/** Files that it names. */
export function filesOfCredentials(config: UpstreamCredentialsConfig | undefined): string[] {
  const { basic, bearer, api_key, oauth } = config ?? {}
  return [
    basic?.password_file,
    bearer?.token_file,
    api_key?.key_file,
    oauth?.client_secret_file,
    oauth?.private_key_file,
    oauth?.ca_file,
  ].filter((name) => name !== undefined)
}

function oauthCredentials(
  oauth: NonNullable<UpstreamCredentialsConfig['oauth']>,
  clock: Clock,
  secret: (name: string) => string,
): ClusterCredentials {
  const url = new URL(oauth.token_url)
  const { ca_file, client_secret_file, private_key_file, key_id, authentication, scope } = oauth
  const client = httpClient(url.origin, {
    clock,
    ...(ca_file !== undefined && { tls: { ca: secret(ca_file) } }),
  })
  const tokens = oauthTokens({
    client,
    path: `${url.pathname}${url.search}`,
    clock,
    clientId: oauth.client_id,
    parameters: oauth.parameters,
    marginMs: durationMs(oauth.margin),
    timeoutMs: durationMs(oauth.timeout),
    ...(client_secret_file !== undefined && { clientSecret: secret(client_secret_file) }),
    ...(private_key_file !== undefined && { privateKey: secret(private_key_file) }),
    ...(key_id !== undefined && { keyId: key_id }),
    ...(authentication !== undefined && { authentication }),
    ...(scope !== undefined && { scope }),
  })
  return own('authorization', bearerCredentials(tokens), client)
}

/** What the client sent in that field is not passed on: the gateway speaks for itself. */
function own(
  header: string,
  credentials: ClientCredentials,
  client?: HttpClient,
): ClusterCredentials {
  return {
    middleware: (next) => {
      const showing = credentials(next)
      return (request, context) => showing(without(request, header), context)
    },
    close: () => void client?.close(),
  }
}

function without(request: HttpRequest, header: string): HttpRequest {
  const fields = new HttpFields(request.fields)
  deleteSpellings(fields, header)
  if (fields.size === request.fields.size) return request
  const { method, target, scheme, authority, body, version } = request
  const bare = new HttpRequest({ method, target, scheme, authority, fields, body, version })
  bare.connection = request.connection
  bare.inform = request.inform
  bare.note = request.note
  return bare
}
