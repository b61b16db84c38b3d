import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import { REDACTED, redactUrl, reveal, Secret, secret } from './secret.ts'

const CANARY = 'canary-hunter2'

test('Secret is shown by nothing that prints objects', () => {
  const options = { user: 'ada', password: new Secret(CANARY), list: [secret(CANARY)] }
  const shown = [
    `${options.password}`,
    String(options.password),
    JSON.stringify(options),
    inspect(options, { depth: 9, showHidden: true, getters: true }),
    format('%s %o %O %j', options.password, options, options, options),
    Object.entries(options.password).join(),
    JSON.stringify(Object.getOwnPropertyDescriptors(options.password)),
    new Error(`it failed: ${options.password}`).stack ?? '',
  ]
  for (const text of shown) assert.ok(!text.includes(CANARY), text)
  assert.ok(shown[0] === REDACTED && shown[3]?.includes(REDACTED))
})

test('Secret gives its value to whoever asks for it', () => {
  assert.equal(new Secret(CANARY).reveal(), CANARY)
  assert.equal(reveal(CANARY), CANARY)
  assert.equal(reveal(secret(CANARY)), CANARY)
  const once = secret(CANARY)
  assert.equal(secret(once), once)
})

test('redactUrl removes what stands before the host, and nothing else', () => {
  const table: [url: string, shown: string][] = [
    ['redis://ada:p@ss@host:1/0?x=1#y', 'redis://[redacted]@host:1/0?x=1#y'],
    ['https://token@host', 'https://[redacted]@host'],
    ['https://host/a@b', 'https://host/a@b'],
    ['https://host?next=a@b', 'https://host?next=a@b'],
    ['postgresql://:p@[::1]:5432', 'postgresql://[redacted]@[::1]:5432'],
    ['http+unix://u:p@%2Frun%2Fx.sock/', 'http+unix://[redacted]@%2Frun%2Fx.sock/'],
    ['u:p@host:1', '[redacted]@host:1'],
    ['host:1/a@b', 'host:1/a@b'],
    ['not a url', 'not a url'],
  ]
  for (const [url, shown] of table) assert.equal(redactUrl(url), shown)
})
