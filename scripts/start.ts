/**
 * `npm start`: shows heddle at work, with nothing to set up. It is `heddle up` with the built-in
 * configuration, through the command line that users get.
 */
import { fromRoot } from './repository.ts'

const CLI = fromRoot('src/cli/main.ts')

const own = process.argv.slice(2)
// `npm start -- --http 9000` are flags of `up`.
const command = own[0] === undefined || own[0].startsWith('-') ? ['up', ...own] : own
process.argv = [process.execPath, CLI, ...command]
await import(CLI)
