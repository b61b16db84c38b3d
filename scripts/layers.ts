/** `npm run check:layers`: refuses what `layers.config.ts` does not allow, in all of `src`. */
import { globSync, readFileSync } from 'node:fs'
import { checkLayers } from './layers-rules.ts'
import { fromRoot, ROOT } from './repository.ts'

const files = new Map<string, string>()
for (const file of globSync('src/**/*.ts', { cwd: ROOT }).sort()) {
  files.set(file.replaceAll('\\', '/'), readFileSync(fromRoot(file), 'utf8'))
}
const { problems, excused } = checkLayers(files)
for (const { file, line, text } of excused) console.log(`note: ${file}:${line} ${text}`)
for (const { file, line, text } of problems) console.error(`${file}:${line} ${text}`)
if (files.size === 0) console.error('no source files found')
if (problems.length > 0 || files.size === 0) process.exitCode = 1
else console.log(`${files.size} files follow the layers`)
