/** Each rule of the layers refuses what it is there for, and lets the nearest legal thing pass. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LAYERS, PACKAGES, PROTOCOL_IMPORTS } from './layers.config.ts'
import { checkLayers } from './layers-rules.ts'

/** What is refused in these files, as `file:line text`. */
function refused(files: Record<string, string>): string[] {
  const { problems } = checkLayers(new Map(Object.entries(files)))
  return problems.map(({ file, line, text }) => `${file}:${line} ${text}`)
}

function refuses(files: Record<string, string>, pattern: RegExp): void {
  const found = refused(files)
  assert.equal(found.length, 1, `expected one refusal, got ${JSON.stringify(found)}`)
  assert.match(found[0] ?? '', pattern)
}

function passes(files: Record<string, string>): void {
  assert.deepEqual(refused(files), [])
}

const CLOCK = { 'src/core/clock.ts': 'export interface Clock { now(): number }\n' }

describe('imports between layers', () => {
  test('downward to core passes', () => {
    passes({ ...CLOCK, 'src/runtime/retry.ts': "import type { Clock } from '../core/clock.ts'\n" })
  })

  test('upward is refused, with its line', () => {
    refuses(
      { 'src/core/a.ts': "\nimport { b } from '../runtime/b.ts'\n", 'src/runtime/b.ts': '' },
      /^src\/core\/a\.ts:2 core may not import runtime$/,
    )
  })

  test('sideways is refused', () => {
    refuses(
      { 'src/transports/a.ts': "import { b } from '../protocols/b.ts'\n" },
      /transports may not import protocols/,
    )
  })

  for (const [form, text] of Object.entries({
    'a type-only import': "import type { B } from '../transports/b.ts'\n",
    'an inline type import': "import { type B } from '../transports/b.ts'\n",
    'an import() type': "export type A = import('../transports/b.ts').B\n",
    'a re-export': "export { b } from '../transports/b.ts'\n",
    'a star re-export': "export * from '../transports/b.ts'\n",
    'a type re-export': "export type { B } from '../transports/b.ts'\n",
    'a dynamic import': "export const b = () => import('../transports/b.ts')\n",
    'a bare import': "import '../transports/b.ts'\n",
  })) {
    test(`sideways as ${form} is refused`, () => {
      refuses({ 'src/runtime/a.ts': text }, /runtime may not import transports/)
    })
  }

  test('out of src is refused', () => {
    refuses({ 'src/core/a.ts': "import '../../scripts/x.ts'\n" }, /scripts\/x\.ts is outside src/)
  })

  test('a test may import anything, and only a test may import a test', () => {
    passes({ 'src/core/a.test.ts': "import '../gateway/b.ts'\nsetTimeout(() => {}, 1)\n" })
    refuses({ 'src/core/a.ts': "import './b.test.ts'\n", 'src/core/b.test.ts': '' }, /is a test/)
  })

  test('a door re-exports and does nothing else', () => {
    const clock = { 'src/core/clock.ts': '' }
    passes({ ...clock, 'src/doors/core.ts': "export * from '../core/clock.ts'\n" })
    passes({ ...clock, 'src/doors/core.ts': "export { type A, b } from '../core/clock.ts'\n" })
    refuses({ 'src/doors/core.ts': 'export const a = 1\n' }, /only re-exports/)
    refuses({ ...clock, 'src/doors/core.ts': "import '../core/clock.ts'\n" }, /only re-exports/)
  })

  test('a folder that is not a layer is refused', () => {
    refuses({ 'src/stuff/a.ts': '' }, /stuff is not a layer/)
  })
})

describe('imports between protocols', () => {
  test('a listed pair passes', () => {
    passes({ 'src/protocols/http1/a.ts': "import '../http/b.ts'\n", 'src/protocols/http/b.ts': '' })
  })

  test('an unlisted pair is refused, in the direction that is not listed too', () => {
    refuses({ 'src/protocols/http/a.ts': "import '../http1/b.ts'\n" }, /http may not import http1/)
    refuses({ 'src/protocols/resp/a.ts': "import '../http/b.ts'\n" }, /resp may not import http/)
  })
})

describe('cycles', () => {
  test('two files, by types alone', () => {
    refuses(
      {
        'src/core/a.ts': "import type { B } from './b.ts'\nexport type A = B\n",
        'src/core/b.ts': "import type { A } from './a.ts'\nexport type B = A\n",
      },
      /import cycle: src\/core\/a\.ts → src\/core\/b\.ts → src\/core\/a\.ts/,
    )
  })

  test('three files are one cycle, and a diamond is none', () => {
    refuses(
      {
        'src/core/a.ts': "import './b.ts'\n",
        'src/core/b.ts': "import './c.ts'\n",
        'src/core/c.ts': "import './a.ts'\n",
      },
      /import cycle/,
    )
    passes({
      'src/core/a.ts': "import './b.ts'\nimport './c.ts'\n",
      'src/core/b.ts': "import './d.ts'\n",
      'src/core/c.ts': "import './d.ts'\n",
      'src/core/d.ts': '',
    })
  })

  test('a file that imports itself', () => {
    refuses({ 'src/core/a.ts': "import './a.ts'\n" }, /import cycle/)
  })
})

describe('modules and packages', () => {
  test('node: is refused in a pure layer and passes in transports', () => {
    refuses({ 'src/core/a.ts': "import 'node:fs'\n" }, /core is pure and may not import node:fs/)
    passes({ 'src/transports/a.ts': "import { connect } from 'node:net'\n" })
  })

  test('timers, process and performance by import are refused outside platform and cli', () => {
    refuses({ 'src/transports/a.ts': "import 'node:timers/promises'\n" }, /node:timers\/promises/)
    refuses({ 'src/transports/a.ts': "import 'node:process'\n" }, /node:process/)
    refuses(
      { 'src/transports/a.ts': "import { performance as p } from 'node:perf_hooks'\n" },
      /may not import performance/,
    )
    passes({ 'src/telemetry/a.ts': "import { createHistogram } from 'node:perf_hooks'\n" })
    passes({ 'src/platform/a.ts': "import { setTimeout } from 'node:timers'\n" })
  })

  test('a package is refused where it is not listed', () => {
    passes({ 'src/gateway/a.ts': "import { parse } from 'yaml'\n" })
    refuses({ 'src/core/a.ts': "import { parse } from 'yaml'\n" }, /core may not import .* yaml/)
    refuses({ 'src/gateway/a.ts': "import x from '@x/y/z'\n" }, /package @x\/y/)
    refuses({ 'src/protocols/resp/a.ts': "import 'yaml'\n" }, /protocols\/resp may not import/)
  })

  test('a pure layer may not import a computed name', () => {
    refuses(
      { 'src/core/a.ts': 'export const a = (b: string) => import(b)\n' },
      /only what it names/,
    )
  })
})

describe('globals', () => {
  for (const use of [
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'setImmediate(f)',
    'clearTimeout(1)',
    'performance.now()',
    'Date.now()',
    'new Date()',
    'Math.random()',
    'process.pid',
  ]) {
    test(`${use} is refused in runtime and transports and passes in platform and cli`, () => {
      const text = `declare const f: () => void\nexport const a = ${use}\n`
      refuses({ 'src/runtime/a.ts': text }, /:2 runtime may not use/)
      refuses({ 'src/transports/a.ts': text }, /:2 transports may not use/)
      passes({ 'src/platform/a.ts': text })
      passes({ 'src/cli/a.ts': text })
    })
  }

  for (const use of ['Buffer.alloc(1)', 'console.log(1)', 'globalThis', 'fetch("x")']) {
    test(`${use} is refused in a pure layer and passes in transports`, () => {
      refuses({ 'src/protocols/x/a.ts': `export const a = ${use}\n` }, /protocols may not use/)
      passes({ 'src/transports/a.ts': `export const a = ${use}\n` })
    })
  }

  test('a property, a key, a type and an own variable of the same name are no use', () => {
    passes({
      'src/core/a.ts': [
        'export interface A { process: string; setTimeout(): void }',
        'export const a = (b: A) => b.process',
        "export const c = { process: '', performance: 1 }",
        'export const d = (at: number) => new Date(at).getTime() + Math.floor(1.5)',
        '',
      ].join('\n'),
      'src/core/b.ts': 'export const run = (process: number) => process + 1\n',
    })
  })

  test('an alias does not hide one: shorthand, spread, argument, default', () => {
    refuses({ 'src/core/a.ts': 'export const a = { process }\n' }, /process/)
    refuses({ 'src/core/a.ts': 'export const a = [process!.pid]\n' }, /process/)
    refuses({ 'src/core/a.ts': 'export const a = (b = Math.random) => b\n' }, /Math\.random/)
    refuses({ 'src/core/a.ts': 'export const a = setTimeout as unknown\n' }, /setTimeout/)
  })
})

describe('names and sizes', () => {
  for (const name of ['index', 'utils', 'helpers', 'util', 'common']) {
    test(`${name}.ts is refused`, () => {
      refuses({ [`src/core/${name}.ts`]: '' }, /named after its main export/)
      refuses({ [`src/core/${name}.test.ts`]: '' }, /named after its main export/)
    })
  }

  test('camelCase and PascalCase are refused', () => {
    refuses({ 'src/core/byteWriter.ts': '' }, /kebab-case/)
    refuses({ 'src/core/ByteWriter.ts': '' }, /kebab-case/)
    passes({ 'src/core/byte-writer.ts': '', 'src/core/http2.ts': '', 'src/core/ambient.d.ts': '' })
  })

  test('a file of 500 lines passes, 501 does not, 501 with a reason is noted', () => {
    const lines = (count: number) => '// line\n'.repeat(count)
    passes({ 'src/core/a.ts': lines(500) })
    refuses({ 'src/core/a.ts': lines(501) }, /501 lines, over 500/)
    const file = { 'src/core/a.ts': `// size: one table of the specification\n${lines(500)}` }
    passes(file)
    const { excused } = checkLayers(new Map(Object.entries(file)))
    assert.match(excused[0]?.text ?? '', /one table of the specification/)
  })

  test('a function or method of 70 lines passes, 71 does not, 71 with a reason does', () => {
    const body = (lines: number) => '  // line\n'.repeat(lines - 2)
    const named = (lines: number) => `export function a(): void {\n${body(lines)}}\n`
    passes({ 'src/core/a.ts': named(70) })
    refuses({ 'src/core/a.ts': named(71) }, /a: 71 lines, over 70/)
    passes({ 'src/core/a.ts': `// size: one switch over all opcodes\n${named(71)}` })
    const method = (lines: number) => `export class A {\n  b(): void {\n${body(lines)}}\n}\n`
    passes({ 'src/core/a.ts': method(70) })
    refuses({ 'src/core/a.ts': method(71) }, /:2 b: 71 lines/)
  })
})

describe('clocks', () => {
  test('the wall clock is for listed files only, types may name it', () => {
    refuses(
      { 'src/runtime/retry.ts': '\nexport const at = (clock) => clock.wallNow()\n' },
      /^src\/runtime\/retry\.ts:2 only files of wall-clock\.config\.ts may ask/,
    )
    refuses({ 'src/runtime/a.ts': 'export const f = ({ wallNow }) => wallNow()\n' }, /only files/)
    passes({ 'src/runtime/a.ts': "export type C = Pick<Clock, 'now' | 'wallNow'>\n" })
    passes({ 'src/telemetry/log.ts': 'export const at = (clock) => clock.wallNow()\n' })
    refuses({ 'src/telemetry/log.ts': 'export const at = 1\n' }, /asks for no wall clock/)
  })

  test('values of both clocks are not compared or subtracted', () => {
    const file = (expression: string) => ({
      'src/telemetry/log.ts': `export const f = (clock, now, wallNow) => [clock.wallNow(), ${expression}]\n`,
    })
    for (const mixed of ['wallNow - now', 'clock.now() < clock.wallNow()', 'now + wallNow']) {
      refuses(file(mixed), /never mixed/)
    }
    passes(file('wallNow - 5'))
    passes(file('wallNow - (now - clock.now())'))
  })
})

describe('layers.config.ts', () => {
  test('names only layers that exist in it, and lower ones first', () => {
    const seen: string[] = []
    for (const [layer, { imports }] of Object.entries(LAYERS)) {
      for (const name of imports) assert.ok(seen.includes(name), `${layer} imports ${name}`)
      seen.push(layer)
    }
  })

  test('every exception says why', () => {
    for (const one of [...PROTOCOL_IMPORTS, ...PACKAGES]) assert.ok(one.why.length > 10)
  })
})
