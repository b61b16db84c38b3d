/**
 * `npm run new-protocol foo`: makes `src/protocols/foo/` with the files that every protocol has.
 * They compile, follow the layers and are formatted; their tests fail until the protocol is
 * written. Nothing else needs a change: tests and fuzz targets are found by their names.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromRoot, runTool } from './repository.ts'

const TEMPLATES = fromRoot('scripts/templates/protocol')

const name = process.argv[2] ?? ''
if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
  console.error('npm run new-protocol <name>, in kebab-case: resp, http2, node-control')
  process.exit(2)
}
const folder = fromRoot('src/protocols', name)
if (existsSync(folder)) {
  console.error(`src/protocols/${name} exists already`)
  process.exit(1)
}

mkdirSync(folder, { recursive: true })
for (const template of readdirSync(TEMPLATES).sort()) {
  const text = readFileSync(join(TEMPLATES, template), 'utf8')
  const file = template.replace('fuzz.ts', `${name}.fuzz.ts`).replace(/\.txt$/, '')
  writeFileSync(join(folder, file), fill(text))
  console.log(`wrote src/protocols/${name}/${file}`)
}
// Lines are longer or shorter with the name filled in: the formatter decides where they break.
const status = runTool('@biomejs/biome/bin/biome', [
  'check',
  '--write',
  '--log-level=error',
  folder,
])
if (status !== 0) process.exit(status)
console.log(`next: npm test -- src/protocols/${name}   (fails until the codec is written)`)
console.log(`then: src/doors/protocols/${name}.ts, npm run gen, docs/protocols/${name}.md`)

function fill(text: string): string {
  const pascal = name.replace(/(^|-)([a-z0-9])/g, (_, _dash, letter: string) =>
    letter.toUpperCase(),
  )
  const camel = pascal.charAt(0).toLowerCase() + pascal.slice(1)
  return text
    .replaceAll('{{name}}', name)
    .replaceAll('{{Name}}', pascal)
    .replaceAll('{{camel}}', camel)
}
