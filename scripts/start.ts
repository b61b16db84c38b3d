/**
 * `npm start`: shows heddle at work, with nothing to set up. It runs the example gateway through
 * the command line that users get.
 */
import { existsSync } from 'node:fs'
import { fromRoot } from './repository.ts'

const CLI = fromRoot('src/cli/main.ts')
const CONFIG = fromRoot('examples/gateway.yaml')

if (!existsSync(CLI) || !existsSync(CONFIG)) {
  console.log('heddle is installed. The command line is not there yet; `npm test` runs the tests.')
} else {
  const own = process.argv.slice(2)
  process.argv = [process.execPath, CLI, ...(own.length > 0 ? own : ['up', CONFIG])]
  await import(CLI)
}
