/**
 * Fuzzes decoders and sessions.
 *
 *     npm run fuzz -- --list
 *     npm run fuzz -- http1 --seconds 60     one target, until a failure or the time
 *     npm run fuzz -- http1 --seed 17 --iterations 1     one input again
 *     npm run fuzz                            every target for ten seconds
 *     npm run fuzz -- smoke                   every target briefly, as `npm test` does
 *     npm run fuzz -- canary                  a target that must fail: exits 0 when it did
 *
 * A failure is made as small as it gets and written to `test/corpus/<name>/`. Commit it with the
 * fix: from then on every run replays it.
 */
import { parseArgs } from 'node:util'
import {
  describeFailure,
  type FuzzOptions,
  fuzzFiles,
  fuzzTarget,
  loadTarget,
  minimise,
  saveCrash,
} from './fuzz-engine.ts'

export const SMOKE: FuzzOptions = Object.freeze({ seed: 1, iterations: 1_500 })

if (import.meta.filename === process.argv[1]) await main()

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '10' },
      seed: { type: 'string' },
      iterations: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const files = fuzzFiles()
  if (values.help) {
    console.log('npm run fuzz -- [names…|smoke|canary] [--seconds n] [--seed n] [--iterations n]')
    return
  }
  if (values.list) {
    for (const [name, file] of files) console.log(`${name}  ${file}`)
    return
  }
  const smoke = positionals[0] === 'smoke'
  const names = positionals.length > 0 && !smoke ? positionals : targetsWithoutCanary(files)
  const seed = values.seed === undefined ? Date.now() % 0x8000_0000 : Number(values.seed)
  for (const name of names) {
    const file = files.get(name)
    if (file === undefined) {
      console.error(`no fuzz target ${name}; known: ${[...files.keys()].join(', ')}`)
      process.exitCode = 2
      return
    }
    const over = Date.now() + Number(values.seconds) * 1000
    const iterations = Number(values.iterations ?? Number.MAX_SAFE_INTEGER)
    const options = smoke ? SMOKE : { seed, iterations, isOver: () => Date.now() >= over }
    if (!(await run(name, file, options))) process.exitCode = 1
  }
}

export function targetsWithoutCanary(files: ReadonlyMap<string, string>): string[] {
  return [...files.keys()].filter((name) => name !== 'canary')
}

/** True when the outcome is the wanted one: no failure, or, for the canary, a failure. */
async function run(name: string, file: string, options: FuzzOptions): Promise<boolean> {
  const target = await loadTarget(name, file)
  const { iterations, failure } = await fuzzTarget(target, options)
  if (name === 'canary') {
    console.log(failure ? `canary: found after ${iterations} inputs` : 'canary: NOT found')
    return failure !== undefined
  }
  if (failure === undefined) {
    console.log(`${name}: ${iterations} inputs from seed ${options.seed}, no failure`)
    return true
  }
  const smallest = await minimise(target, failure)
  console.error(describeFailure(name, failure))
  console.error(`smallest input, ${smallest.bytes.length} bytes: ${saveCrash(name, smallest)}`)
  return false
}
