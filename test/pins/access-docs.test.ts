/** docs/authentication.md, docs/authorization.md and docs/security.md say the defaults that the code has. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { jsonRequestDefaults } from '../../src/clients/http/json-request.ts'
import { oauthTokensDefaults } from '../../src/clients/http/oauth-tokens.ts'
import { scramClientDefaults } from '../../src/protocols/sasl/scram-client.ts'
import { lockoutDefaults } from '../../src/runtime/lockout.ts'
import { auditLogDefaults } from '../../src/security/audit/audit-log.ts'
import { externalAuthorizerDefaults } from '../../src/security/authorization/external-authorizer.ts'
import { remoteKeySetDefaults } from '../../src/security/identity/json-web-keys.ts'
import { jwtVerifierDefaults } from '../../src/security/identity/jwt-verifier.ts'
import { passwordVerifierDefaults } from '../../src/security/identity/password-verifier.ts'

for (const [page, section, defaults] of [
  ['authentication', 'Basic', passwordVerifierDefaults],
  ['authentication', 'Bearer tokens', { ...jwtVerifierDefaults, maxTokenAgeMs: undefined }],
  ['authentication', 'Bearer tokens', { ...remoteKeySetDefaults, ...jsonRequestDefaults }],
  ['authentication', 'SASL', scramClientDefaults],
  ['authentication', 'A client', oauthTokensDefaults],
  ['authorization', 'A policy service', externalAuthorizerDefaults],
  ['security', 'Lockout', lockoutDefaults],
  ['security', 'Audit log', auditLogDefaults],
] as const) {
  test(`docs/${page}.md, ${section}: ${Object.keys(defaults).join(', ')}`, () => {
    const text = readFileSync(fromRoot(`docs/${page}.md`), 'utf8')
    const start = text.indexOf(`\n## ${section}\n`)
    assert.ok(start >= 0, `no section ${section}`)
    const end = text.indexOf('\n## ', start + 1)
    const rows = text.slice(start, end).split('\n')
    for (const [name, value] of Object.entries(defaults)) {
      const row = rows.find((line) => line.startsWith('|') && line.includes(`\`${name}\``))
      assert.ok(row !== undefined, `${name} is not in the table`)
      if (value === undefined) continue
      const said = typeof value === 'number' ? value.toLocaleString('en-US') : String(value)
      assert.ok(row.includes(said), `${name} is ${said}, the page says ${row}`)
    }
  })
}
