/**
 * `npm run new-protocol` makes files that compile, follow the layers, are formatted and fail their
 * tests; and the same files pass once a codec is written.
 */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runCommand, type Stage, stageRepository } from './stage.ts'

const SOURCES = [
  '.gitignore',
  'biome.json',
  'package.json',
  'scripts',
  'src/core',
  'src/protocols/tsconfig.json',
  'src/testing',
  'tsconfig.base.json',
]
const NAME = 'two-words'

let stage: Stage
let folder = ''

before(async () => {
  stage = await stageRepository(SOURCES)
  folder = join(stage.sources, 'src/protocols', NAME)
  await node('scripts/new-protocol.ts', NAME)
})

after(() => stage[Symbol.asyncDispose]())

function node(...parameters: string[]): Promise<string> {
  return runCommand(process.execPath, parameters, stage.sources)
}

function runTests(): Promise<string> {
  const files = [`src/protocols/${NAME}/decoder.test.ts`, `src/protocols/${NAME}/session.test.ts`]
  return node('--disable-warning=ExperimentalWarning', '--test', '--test-reporter=tap', ...files)
}

describe('npm run new-protocol', () => {
  test('makes the files that every protocol has', async () => {
    assert.deepEqual((await readdir(folder)).sort(), [
      'classifier.ts',
      'decoder.test.ts',
      'decoder.ts',
      'encoder.ts',
      'messages.ts',
      'metadata.ts',
      'options.ts',
      'session.test.ts',
      'session.ts',
      `${NAME}.fuzz.ts`,
    ])
    const decoder = await readFile(join(folder, 'decoder.ts'), 'utf8')
    assert.match(decoder, /export class TwoWordsDecoder implements Decoder<TwoWordsMessage>/)
    for (const file of await readdir(folder)) {
      assert.doesNotMatch(await readFile(join(folder, file), 'utf8'), /\{\{|\}\}/, file)
    }
  })

  test('what it makes compiles, tests included', async () => {
    await writeFile(
      join(stage.sources, 'tsconfig.test.json'),
      JSON.stringify({
        extends: './tsconfig.base.json',
        compilerOptions: {
          composite: false,
          noEmit: true,
          rewriteRelativeImportExtensions: false,
          allowImportingTsExtensions: true,
          types: ['node'],
        },
        include: [`src/protocols/${NAME}/*.ts`],
      }),
    )
    const tsc = 'node_modules/typescript/bin/tsc'
    await node(tsc, '-b', 'src/protocols')
    await node(tsc, '-p', 'tsconfig.test.json')
  })

  test('what it makes follows the layers and is formatted', async () => {
    await node('scripts/layers.ts')
    await node('node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', folder)
  })

  test('refuses a name that exists or is not kebab-case', async () => {
    await assert.rejects(node('scripts/new-protocol.ts', NAME), /exists already/)
    await assert.rejects(node('scripts/new-protocol.ts', 'TwoWords'), /kebab-case/)
    await assert.rejects(node('scripts/new-protocol.ts'), /kebab-case/)
  })

  test('its tests fail until the codec is written, and pass then', async () => {
    await assert.rejects(runTests(), (error: Error) => {
      assert.match(error.message, /not ok \d+ - two-words decoder: decodes byte by byte/)
      assert.match(
        error.message,
        /not ok \d+ - two-words session: three messages: goes as expected/,
      )
      return true
    })
    await replace('encoder.ts', '  out.give(', '  out.uint32(message.payload.length)\n  out.give(')
    await replace(
      'decoder.ts',
      / {4}\/\/ TODO: read one[\s\S]*?\n {4}\}\n/,
      [
        '    if (this.#queue.length >= 4) {',
        '      const [a = 0, b = 0, c = 0, d = 0] = this.#queue.peek(4)',
        '      const length = a * 0x100_0000 + ((b << 16) | (c << 8) | d)',
        '      if (length > this.#maxMessageBytes) {',
        "        throw this.#fail(new ProtocolError('ERR_FRAME_TOO_LARGE', 'too long'))",
        '      }',
        '      if (this.#queue.length >= 4 + length) {',
        '        this.#queue.skip(4)',
        '        return { payload: this.#queue.read(length) }',
        '      }',
        '    }',
        '',
      ].join('\n'),
    )
    assert.match(await runTests(), /^# fail 0$/m)
  })
})

async function replace(file: string, what: string | RegExp, by: string): Promise<void> {
  const path = join(folder, file)
  const text = await readFile(path, 'utf8')
  assert.notEqual(text.replace(what, by), text, `${file} no longer has ${what}`)
  await writeFile(path, text.replace(what, by))
}
