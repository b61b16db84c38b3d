import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { UsageError } from '../../core/errors.ts'
import { ApiKeyVerifier, generateApiKey, parseApiKeyFile } from './api-keys.ts'

const at = (time: number): { wallNow(): number } => ({ wallNow: () => time })

test('ApiKeyVerifier accepts a generated key by its line, and names its owner', () => {
  const { key, line } = generateApiKey({ roles: ['reader', 'writer'], name: 'billing' })
  const verifier = new ApiKeyVerifier({ clock: at(0), keys: parseApiKeyFile(line) })
  const outcome = verifier.verify(key.reveal())
  assert.equal(outcome.outcome, 'accepted')
  assert.deepEqual(outcome.outcome === 'accepted' && outcome.principal, {
    id: 'billing',
    method: 'api-key',
    roles: ['reader', 'writer'],
    attributes: { key_id: ApiKeyVerifier.idOf(key.reveal()) },
  })
  // The store gives no key away, and the key shows itself to nobody.
  assert.ok(!line.includes(key.reveal().split('.')[1] as string))
  assert.ok(!inspect(generateApiKey()).includes(key.reveal()))
})

test('ApiKeyVerifier refuses wrong, unknown, empty and foreign keys alike', () => {
  const { key, entry } = generateApiKey()
  const verifier = new ApiKeyVerifier({ clock: at(0), keys: [entry] })
  const text = key.reveal()
  const flipped = `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`
  const reasons = new Set<string>()
  for (const wrong of [flipped, `${entry.id}.`, `other.${text.split('.')[1]}`]) {
    const outcome = verifier.verify(wrong)
    assert.equal(outcome.outcome, 'refused', wrong)
    if (outcome.outcome === 'refused') reasons.add(outcome.reason)
  }
  assert.equal(reasons.size, 1)
  for (const none of ['', '.', 'x', `.${text}`, `${'i'.repeat(65)}.x`, `a.${'x'.repeat(511)}`]) {
    assert.equal(ApiKeyVerifier.idOf(none), undefined)
    assert.equal(verifier.verify(none).outcome, 'refused')
  }
})

test('ApiKeyVerifier accepts until a key expires', () => {
  const { key, line } = generateApiKey({ name: 'job' })
  const keys = parseApiKeyFile(`${line}:2027-01-31`)
  const end = Date.parse('2027-01-31')
  const verify = (time: number): string =>
    new ApiKeyVerifier({ clock: at(time), keys }).verify(key.reveal()).outcome
  assert.equal(verify(end - 1), 'accepted')
  assert.equal(verify(end), 'refused')
})

test('parseApiKeyFile names the line that is wrong', () => {
  const { line } = generateApiKey()
  const cases: [string, RegExp][] = [
    ['nonsense', /line 1: is not id:sha256/],
    ['# note\n\nid:abc:', /line 3: is not id:sha256/],
    [`${line}\n${line}`, /line 2: .* is there twice/],
    [`${line}:name:2027-13-45`, /line 1: '2027-13-45' is not a date/],
  ]
  for (const [text, message] of cases) {
    assert.throws(
      () => parseApiKeyFile(text),
      (error) => error instanceof UsageError && message.test(error.message),
    )
  }
  const { entry } = generateApiKey()
  assert.throws(() => new ApiKeyVerifier({ clock: at(0), keys: [entry, entry] }), UsageError)
})
