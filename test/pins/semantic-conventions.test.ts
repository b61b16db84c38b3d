/**
 * Every attribute and metric that looks like one of OpenTelemetry's is one: the published list of the
 * semantic conventions has it, and not as a name that is given up.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as conventions from '@opentelemetry/semantic-conventions/incubating'
import { fromRoot } from '../../scripts/repository.ts'

const published = new Set<string>(
  Object.values(conventions).filter((one) => typeof one === 'string'),
)

test('names in spaces of the semantic conventions are theirs', () => {
  const found = new Map<string, string>()
  for (const file of globSync('src/**/*.ts', { cwd: fromRoot('.') })) {
    if (/\.(test|fuzz)\.ts$/.test(file)) continue
    const source = readFileSync(fromRoot(file), 'utf8')
    for (const [, name = ''] of source.matchAll(NAME)) found.set(name, file)
  }
  assert.ok(found.size > 45, `only ${found.size} names found`)
  const unknown = [...found].filter(([name]) => !published.has(name) && !OTHERS.has(name))
  assert.deepEqual(unknown, [])
})

test('names that the conventions have given up are not used', () => {
  for (const old of ['http.method', 'net.peer.name', 'db.statement', 'rpc.system', 'rpc.service']) {
    const files = globSync('src/**/*.ts', { cwd: fromRoot('.') }).filter((file) =>
      readFileSync(fromRoot(file), 'utf8').includes(`'${old}'`),
    )
    assert.deepEqual(files, [], old)
  }
})

/** A host in an example, and Node's symbol for inspection. */
const OTHERS: ReadonlySet<string> = new Set(['db.internal', 'nodejs.util.inspect.custom'])
/** In quotes, in one of the spaces that we use. */
const NAME =
  /'((?:http|rpc|db|messaging|server|client|network|url|error|exception|process|nodejs|cpu)\.[a-z][a-z_]*(?:\.[a-z_]+)*)'/g
