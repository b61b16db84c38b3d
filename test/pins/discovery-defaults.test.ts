/** Every default of discovery stands in docs/discovery.md, with its value. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { consulDefaults } from '../../src/discovery/consul.ts'
import { dnsDefaults } from '../../src/discovery/dns.ts'
import { etcdDefaults } from '../../src/discovery/etcd.ts'
import { fileDefaults } from '../../src/discovery/file.ts'
import { kubernetesDefaults } from '../../src/discovery/kubernetes.ts'
import { registryDefaults } from '../../src/discovery/registry.ts'
import { registryHttpDefaults } from '../../src/discovery/registry-http.ts'
import { sharedResolverDefaults } from '../../src/discovery/shared-resolver.ts'
import { watchLoopDefaults } from '../../src/discovery/watch-loop.ts'

const page = readFileSync(fromRoot('docs/discovery.md'), 'utf8')

const SECTIONS: [heading: string, defaults: object][] = [
  [
    '## What all of them promise',
    { ...registryHttpDefaults, ...sharedResolverDefaults, ...watchLoopDefaults },
  ],
  ['## DNS', dnsDefaults],
  ['## A watched file', fileDefaults],
  ['## Consul', consulDefaults],
  ['## etcd', etcdDefaults],
  ['## Kubernetes', kubernetesDefaults],
  ['## A registry of your own', registryDefaults],
]

for (const [heading, defaults] of SECTIONS) {
  test(`docs/discovery.md states the defaults of "${heading}"`, () => {
    const start = page.indexOf(`\n${heading}\n`)
    assert.ok(start >= 0, `a heading "${heading}"`)
    const text = page.slice(start, page.indexOf('\n## ', start + 1))
    for (const [name, value] of Object.entries(defaults)) {
      assert.ok(text.includes(`| \`${name}\` | ${value} |`), `${name} ${value}`)
    }
  })
}

test('docs/discovery.md says what is not proven against the real thing', () => {
  for (const name of ['consul', 'kubernetes']) {
    assert.match(page, new RegExp(`\\| \`${name}\` \\|.*\\*\\*not yet the real thing\\*\\*`))
  }
})
