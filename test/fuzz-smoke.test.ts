/**
 * Every fuzz target, briefly: the committed corpus, then a fixed number of inputs from a fixed
 * seed, so that this passes or fails the same way everywhere. `npm run fuzz` looks for longer.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { SMOKE, targetsWithoutCanary } from '../scripts/fuzz.ts'
import {
  describeFailure,
  fuzzFiles,
  fuzzTarget,
  loadTarget,
  minimise,
} from '../scripts/fuzz-engine.ts'
import { fromRoot } from '../scripts/repository.ts'

const files = fuzzFiles()

for (const name of targetsWithoutCanary(files)) {
  test(`fuzz smoke: ${name}`, async () => {
    const target = await loadTarget(name, files.get(name) ?? '')
    const { failure } = await fuzzTarget(target, SMOKE)
    if (failure !== undefined) assert.fail(describeFailure(name, failure))
  })
}

test('the canary is found, within a smoke run, and made smaller', async () => {
  const target = await loadTarget('canary', files.get('canary') ?? '')
  const { failure } = await fuzzTarget(target, SMOKE)
  assert.ok(failure !== undefined, 'the fuzzer finds nothing')
  const smallest = await minimise(target, failure)
  assert.ok(smallest.bytes.length <= failure.bytes.length)
  assert.throws(() => target.fuzz(smallest.seed, smallest.bytes), /read past the end/)
})

test('the same seed makes the same inputs', async () => {
  const runs = await Promise.all([record(7), record(7), record(8)])
  assert.deepEqual(runs[0], runs[1])
  assert.notDeepEqual(runs[0], runs[2])
})

test('every folder of the corpus belongs to a target', () => {
  const corpus = fromRoot('test/corpus')
  const folders = existsSync(corpus) ? readdirSync(corpus) : []
  for (const name of folders) assert.ok(files.has(name), `test/corpus/${name} has no target`)
})

async function record(seed: number): Promise<string[]> {
  const inputs: string[] = []
  const target = {
    name: 'record',
    file: '',
    samples: [Uint8Array.of(1, 2, 3, 4)],
    tokens: ['GET'],
    fuzz: (_seed: number, bytes: Uint8Array) => {
      inputs.push(Buffer.from(bytes).toString('hex'))
    },
  }
  await fuzzTarget(target, { seed, iterations: 50 })
  return inputs
}
