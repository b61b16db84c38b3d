/** Runs one soak in a process of its own and watches it; `soak/run.ts` starts it. */
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Soak } from './soak.ts'

const STALL_MS = 10_000
const DEFAULT_GROWTH_BYTES = 8 * 1024 * 1024
const SAMPLES_IN_A_RUN = 40
/** Each of the two quarters that are compared needs some. */
const MIN_SAMPLES = 8

const [file = '', seconds = '60', whole] = process.argv.slice(2)
const name = basename(file, '.soak.ts')
const module = (await import(pathToFileURL(file).href)) as { soak?: Soak }
if (module.soak === undefined) throw new Error(`${file} does not export soak`)
const wanted = whole === '--whole' ? module.soak.cycles : undefined
process.exitCode = (await watch(module.soak, Number(seconds) * 1000, wanted)) ? 0 : 1
// What the soak left open keeps this process alive, and then the exit is not ours to wait for.
process.disconnect?.()
// It has to end by itself; an unreferenced timer runs only if it does not.
setTimeout(() => {
  console.error(`✖ ${name}: the process does not end by itself`)
  process.exit(1)
}, 15_000).unref()

/** @param wanted units of work, instead of the time */
async function watch(soak: Soak, runMs: number, wanted: number | undefined): Promise<boolean> {
  console.log(`${name}: ${soak.about}`)
  // Where they are pipes, the streams of the process are handles themselves, made when first used.
  void process.stderr
  await sleep(100)
  const before = countResources()
  const ending = new AbortController()
  let done = 0
  let lastProgressAt = Date.now()
  const running = soak.run({
    signal: ending.signal,
    progress: () => {
      done++
      lastProgressAt = Date.now()
    },
  })
  let finished = false
  running.then(
    () => {
      finished = true
    },
    () => {
      finished = true
    },
  )
  const problems: string[] = []
  const heap: number[] = []
  const over = Date.now() + runMs
  const goesOn = () => (wanted === undefined ? Date.now() < over : done < wanted)
  while (goesOn() && !finished) {
    await sleep(wanted === undefined ? Math.min(runMs / SAMPLES_IN_A_RUN, 5_000) : 100)
    heap.push(liveHeapBytes())
    if (Date.now() - lastProgressAt > STALL_MS) {
      problems.push(`no progress for ${STALL_MS} ms`)
      break
    }
  }
  if (finished) problems.push('ended before its time')
  ending.abort()
  await Promise.race([running, sleep(STALL_MS, 'stuck', { ref: false })]).then(
    (outcome) => outcome === 'stuck' && problems.push('did not end when asked to'),
    (error: unknown) => problems.push(error instanceof Error ? `${error.stack}` : String(error)),
  )
  await sleep(100) // closing handles need a turn or two of the loop

  if (problems.length === 0 && heap.length < MIN_SAMPLES) {
    problems.push(`${heap.length} samples of the heap: too short a run to compare anything`)
  }
  const growth = growthBytes(heap)
  const whole = wanted === undefined ? undefined : soak.maxWholeGrowthBytes
  const limit = whole ?? soak.maxGrowthBytes ?? DEFAULT_GROWTH_BYTES
  if (growth > limit) problems.push(`the heap grew by ${growth} bytes, over ${limit}`)
  const left = describeLeft(before, countResources())
  if (left !== '') problems.push(`left open: ${left}`)
  const summary = `${done} units of work, heap ${growth >= 0 ? '+' : ''}${growth} bytes`
  console.log(`${problems.length === 0 ? '✔' : '✖'} ${name}: ${summary}`)
  for (const problem of problems) console.error(`  ${problem}`)
  return problems.length === 0
}

function liveHeapBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/**
 * Least of the last quarter less the least of the second; the first one warms up. The least, as a
 * sample also sees what is under way at its instant, and that swings by more than any leak of a run;
 * what leaks is in every sample.
 */
function growthBytes(samples: readonly number[]): number {
  const quarter = samples.length >> 2
  return Math.min(...samples.slice(-quarter)) - Math.min(...samples.slice(quarter, 2 * quarter))
}

function countResources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1)
  return counts
}

function describeLeft(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): string {
  const left: string[] = []
  for (const [type, count] of after) {
    const more = count - (before.get(type) ?? 0)
    // The engine's own sleep is a timer that may still be listed.
    if (more > 0 && !(type === 'Timeout' && more === 1)) left.push(`${more} ${type}`)
  }
  return left.join(', ')
}
