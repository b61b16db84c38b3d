/** Lockout in front of a real HTTP server: what its callers are told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { lockout } from '../../src/runtime/lockout.ts'
import { authenticate } from '../../src/servers/http/authentication/authenticate.ts'
import { basic } from '../../src/servers/http/authentication/basic.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'

test('httpServer answers 429 with Retry-After to who is locked out, and checks no password then', async () => {
  const clock = new ManualClock()
  let checked = 0
  const users = (name: string, password: string) => {
    checked++
    return name === 'ada' && password === 'right' ? { roles: [] } : undefined
  }
  const guard = lockout({ maxFailures: 2, lockMs: 30_000 })
  const authentication = authenticate([basic({ users, rememberMs: 0 })], { guard, clock })
  await using server = httpServer(() => HttpResponse.text('in'), { authentication })
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  const port = address.kind === 'ip' ? address.port : 0
  await using client = httpClient(`http://127.0.0.1:${port}`, { retry: false })
  const login = async (name: string, password: string) => {
    const authorization = `Basic ${btoa(`${name}:${password}`)}`
    const response = await client.get('/', { fields: { authorization } })
    await response.body.text()
    return [response.status, response.fields.get('retry-after')]
  }
  assert.deepEqual(await login('ada', 'wrong'), [401, undefined])
  assert.deepEqual(await login('ada', 'wrong'), [401, undefined])
  assert.deepEqual(await login('ada', 'right'), [429, '30'])
  clock.jumpWall(3_600_000)
  clock.advance(28_500)
  assert.deepEqual(await login('ada', 'right'), [429, '2'], 'the wall clock is no way out')
  assert.equal(checked, 2)
  assert.deepEqual(await login('bob', 'wrong'), [401, undefined], 'nobody else waits')
  clock.advance(1_500)
  assert.deepEqual(await login('ada', 'right'), [200, undefined])
  assert.deepEqual(await login('ada', 'wrong'), [401, undefined])
  assert.deepEqual(await login('ada', 'right'), [200, undefined])
})
