/** A service whose own call is refused a token does not ask its caller to log in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bearerCredentials } from '../../src/clients/http/credentials.ts'
import { oauthTokens } from '../../src/clients/http/oauth-tokens.ts'
import { AccessError } from '../../src/core/errors.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { httpWorld } from '../telemetry/http-pair.ts'

test('a token that is refused to a service makes it a bad gateway, not a 401', async (t) => {
  const world = httpWorld(t)
  await world.serve('issuer', () => HttpResponse.json({ error: 'invalid_client' }, { status: 401 }))
  await world.serve('inner', () => HttpResponse.text('inner'))
  const tokens = oauthTokens({
    client: world.client('issuer', { retry: false }),
    clientId: 'orders',
    clientSecret: 'a secret',
  })
  const credentials = bearerCredentials(tokens)
  const inner = world.client('inner', { retry: false, credentials })
  await world.serve('outer', async () => inner.get('/'))
  const answer = await world.client('outer', { retry: false }).get('/')
  assert.equal(answer.status, 502)
  assert.equal(answer.fields.get('www-authenticate'), undefined)
})

test('what a service itself refuses stays a 401', async (t) => {
  const world = httpWorld(t)
  await world.serve('own', () => {
    throw new AccessError('ERR_UNAUTHENTICATED', 'who are you?')
  })
  assert.equal((await world.client('own', { retry: false }).get('/')).status, 401)
})
