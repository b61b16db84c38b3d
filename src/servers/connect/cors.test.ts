import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../core/context.ts'
import { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { type CorsOptions, cors } from './cors.ts'

const APP = 'https://app.example'

async function ask(
  options: CorsOptions,
  fields: Record<string, string>,
  method = 'POST',
): Promise<Record<string, unknown> & { status: number }> {
  const service = cors(options)(() => HttpResponse.text('answer'))
  const response = await service(new HttpRequest({ method, fields }), new Call())
  return { ...Object.fromEntries(response.fields), status: response.status }
}

test('cors answers a preflight of a page that may call, and no more to others', async () => {
  const options = { origins: [APP], allowFields: ['Authorization'], maxAgeSeconds: 60 }
  const asked = { 'access-control-request-method': 'POST' }
  const granted = await ask(options, { ...asked, origin: APP }, 'OPTIONS')
  assert.equal(granted.status, 204)
  assert.equal(granted['access-control-allow-origin'], APP)
  assert.equal(granted['access-control-allow-methods'], 'GET, POST')
  assert.match(String(granted['access-control-allow-headers']), /grpc-timeout.*, authorization$/)
  assert.equal(granted['access-control-max-age'], '60')
  assert.equal(granted['vary'], 'origin')
  for (const origin of ['https://app.example.evil', 'http://app.example', 'null']) {
    const refused = await ask(options, { ...asked, origin }, 'OPTIONS')
    assert.deepEqual(refused, { status: 204, vary: 'origin' })
  }
})

test('cors lets a page read the status of a call', async () => {
  const answer = await ask({ origins: [APP], exposeFields: ['X-Quota'] }, { origin: APP })
  assert.equal(answer.status, 200)
  assert.equal(answer['access-control-allow-origin'], APP)
  assert.match(String(answer['access-control-expose-headers']), /^grpc-status, .*, x-quota$/)
  assert.equal(answer['access-control-allow-credentials'], undefined)
  const other = await ask({ origins: [APP] }, { origin: 'https://other.example' })
  assert.equal(other['access-control-allow-origin'], undefined)
  assert.equal(other['vary'], 'origin')
  assert.equal((await ask({ origins: [APP] }, {}))['access-control-allow-origin'], undefined)
})

test('cors of any origin names none, and takes no credentials', async () => {
  const answer = await ask({ origins: '*' }, { origin: APP })
  assert.equal(answer['access-control-allow-origin'], '*')
  assert.equal(answer['vary'], undefined)
  const mine = await ask({ origins: [APP], credentials: true }, { origin: APP })
  assert.equal(mine['access-control-allow-credentials'], 'true')
  assert.throws(() => cors({ origins: '*', credentials: true }), { code: 'ERR_OPTION_UNSUPPORTED' })
})

test('cors passes OPTIONS that is no preflight', async () => {
  assert.equal((await ask({ origins: [APP] }, { origin: APP }, 'OPTIONS')).status, 200)
})

test('cors refuses what is no origin, no field and no age', () => {
  for (const origin of ['app.example', 'https://app.example/', 'https://*.example', '', 'null']) {
    assert.throws(() => cors({ origins: [origin] }), { code: 'ERR_ARGUMENT' }, origin)
  }
  assert.throws(() => cors({ origins: [APP], allowFields: ['a b'] }), { code: 'ERR_ARGUMENT' })
  for (const maxAgeSeconds of [-1, 86_401, 0.5]) {
    assert.throws(() => cors({ origins: [APP], maxAgeSeconds }), { code: 'ERR_OPTION_RANGE' })
  }
  cors({ origins: [APP], maxAgeSeconds: 86_400 })
})
