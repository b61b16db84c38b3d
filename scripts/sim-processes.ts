/** Simulations on several processes: ranges of seeds, and the hunt for planted bugs. */
import { fork } from 'node:child_process'
import { fromRoot } from './repository.ts'

const PROGRESS_MS = 10_000
/** At a time, of the hunt. */
const HUNTERS = 2

/** Seeds `from` on, shared out among `jobs` processes; stops at the first failure. */
export async function runRange(
  name: string,
  from: number,
  count: number,
  jobs: number,
): Promise<boolean> {
  const started = performance.now()
  let done = 0
  const progress = setInterval(() => {
    console.log(`  ${name}: ${done} of ${count} seeds, ${seconds(started)} s`)
  }, PROGRESS_MS)
  const stop = new AbortController()
  const share = Math.ceil(count / jobs)
  const parts = Array.from({ length: jobs }, async (_, index) => {
    const first = index * share
    const seeds = Math.min(share, count - first)
    if (seeds <= 0) return true
    const args = [name, '--jobs', '1', '--from', String(from + first), '--seeds', String(seeds)]
    const code = await run(args, 'inherit', stop.signal, () => void done++)
    if (code !== 0) stop.abort()
    return code === 0
  })
  const passed = (await Promise.all(parts)).every(Boolean)
  clearInterval(progress)
  if (passed) {
    const last = from + count - 1
    console.log(`✔ ${name}: seeds ${from} to ${last}, ${seconds(started)} s, ${jobs} processes`)
  }
  return passed
}

/** Each bug must make a seed fail within `most` seeds. */
export async function findPlantedBugs(
  bugs: readonly string[],
  simulation: string,
  most: number,
): Promise<boolean> {
  const waiting = [...bugs]
  let missed = 0
  const hunt = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const started = performance.now()
      let seeds = 1
      const args = [simulation, '--plant', bug, '--jobs', '1', '--seeds', String(most)]
      const lines: string[] = []
      const code = await run(args, lines, undefined, () => void seeds++)
      const report = lines.join('').split('\n')[0] ?? ''
      // A crash for another reason than a failed check would find every bug.
      const found = code === 1 && report.startsWith(`✖ simulation ${simulation}, seed ${seeds}:`)
      if (found) console.log(`✔ ${bug}: seed ${seeds}, ${seconds(started)} s: ${report.slice(2)}`)
      else console.error(`✖ ${bug}: ${seeds - 1} of ${most} seeds, exit ${code} ${lines.join('')}`)
      if (!found) missed++
    }
  }
  await Promise.all(Array.from({ length: HUNTERS }, hunt))
  return missed === 0
}

/** @param output its words go to ours, or into a list */
async function run(
  args: readonly string[],
  output: 'inherit' | string[],
  signal: AbortSignal | undefined,
  onSeed: () => void,
): Promise<number> {
  const collected = typeof output !== 'string'
  const child = fork(fromRoot('scripts/sim.ts'), args, {
    silent: collected,
    ...(signal && { signal }),
  })
  if (collected) {
    child.stdout?.on('data', (chunk) => void output.push(String(chunk)))
    child.stderr?.on('data', (chunk) => void output.push(String(chunk)))
  }
  child.on('message', onSeed)
  return new Promise((resolve) => {
    child.on('error', () => resolve(-1))
    child.on('close', (code) => resolve(code ?? -1))
  })
}

function seconds(started: number): string {
  return ((performance.now() - started) / 1_000).toFixed(1)
}
