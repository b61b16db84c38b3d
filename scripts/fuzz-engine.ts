/**
 * A small seeded fuzzer for targets of the form `fuzz(seed, bytes)`.
 *
 * A target is a file `*.fuzz.ts` in `src` (or `test/fuzz`) that exports `fuzz`, and optionally
 * `samples` (valid inputs to start from) and `tokens` (byte strings that mean something to the
 * format). It throws when something is wrong; the peer's errors it catches itself. The same seed
 * and count always make the same inputs, so a failure is repeated by its seed alone.
 */
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fromRoot, ROOT } from './repository.ts'

export interface FuzzTarget {
  readonly name: string
  readonly file: string
  fuzz(seed: number, bytes: Uint8Array): void | Promise<void>
  readonly samples?: readonly Uint8Array[]
  readonly tokens?: readonly (string | Uint8Array)[]
}

export interface FuzzFailure {
  readonly seed: number
  readonly bytes: Uint8Array
  readonly error: unknown
}

export interface FuzzOptions {
  readonly seed: number
  /** Stops after this many inputs. The corpus is replayed first and does not count. */
  readonly iterations: number
  /** Stops when this says so; asked after every input. */
  readonly isOver?: () => boolean
}

export interface FuzzResult {
  readonly iterations: number
  readonly failure: FuzzFailure | undefined
}

const MAX_INPUT_BYTES = 4096
const CRASH_NAME = /^crash-(\d+)-[0-9a-f]+$/

/** Files of every target by its name. The canary is one of them. */
export function fuzzFiles(): Map<string, string> {
  const files = new Map<string, string>()
  for (const file of globSync(['src/**/*.fuzz.ts', 'test/fuzz/*.fuzz.ts'], { cwd: ROOT }).sort()) {
    const name = basename(file, '.fuzz.ts')
    const other = files.get(name)
    if (other !== undefined) throw new Error(`two fuzz targets named ${name}: ${other}, ${file}`)
    files.set(name, file.replaceAll('\\', '/'))
  }
  return files
}

export async function loadTarget(name: string, file: string): Promise<FuzzTarget> {
  const module = (await import(pathToFileURL(fromRoot(file)).href)) as Partial<FuzzTarget>
  if (typeof module.fuzz !== 'function')
    throw new Error(`${file} does not export fuzz(seed, bytes)`)
  return {
    name,
    file,
    fuzz: module.fuzz,
    ...(module.samples === undefined ? {} : { samples: module.samples }),
    ...(module.tokens === undefined ? {} : { tokens: module.tokens }),
  }
}

export function corpusFolder(name: string): string {
  return fromRoot('test/corpus', name)
}

interface Input {
  readonly bytes: Uint8Array
  /** A crash is replayed with the seed that it happened with. */
  readonly seed: number | undefined
}

function readCorpus(name: string): Input[] {
  const folder = corpusFolder(name)
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).sort()
  return files.map((file) => {
    const seed = CRASH_NAME.exec(file)?.[1]
    const bytes = new Uint8Array(readFileSync(join(folder, file)))
    return { bytes, seed: seed === undefined ? undefined : Number(seed) }
  })
}

export async function fuzzTarget(target: FuzzTarget, options: FuzzOptions): Promise<FuzzResult> {
  const corpus = readCorpus(target.name)
  for (const { bytes, seed } of corpus) {
    const failure = await tryInput(target, seed ?? options.seed, bytes)
    if (failure !== undefined) return { iterations: 0, failure }
  }
  const starts = [...corpus.map(({ bytes }) => bytes), ...(target.samples ?? [])]
  const tokens = (target.tokens ?? []).map((token) =>
    typeof token === 'string' ? new TextEncoder().encode(token) : token,
  )
  for (let at = 0; at < options.iterations; at++) {
    if (options.isOver?.() === true) return { iterations: at, failure: undefined }
    const seed = (options.seed + at) >>> 0
    const failure = await tryInput(target, seed, makeInput(seed, starts, tokens))
    if (failure !== undefined) return { iterations: at + 1, failure }
  }
  return { iterations: options.iterations, failure: undefined }
}

/** The target gets a copy: it may keep or change its input, and the report must show what it got. */
async function tryInput(
  target: FuzzTarget,
  seed: number,
  bytes: Uint8Array,
): Promise<FuzzFailure | undefined> {
  try {
    await target.fuzz(seed, bytes.slice())
    return undefined
  } catch (error) {
    return { seed, bytes, error }
  }
}

/** The smallest input found that still fails, by leaving out pieces and then zeroing bytes. */
export async function minimise(target: FuzzTarget, failure: FuzzFailure): Promise<FuzzFailure> {
  let best = failure
  for (let size = best.bytes.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= best.bytes.length; ) {
      const bytes = Uint8Array.of(...best.bytes.slice(0, at), ...best.bytes.slice(at + size))
      const smaller = await tryInput(target, best.seed, bytes)
      if (smaller === undefined) at += size
      else best = smaller
    }
  }
  return best
}

/** Writes the input where every later run replays it, and returns the path. */
export function saveCrash(name: string, { seed, bytes }: FuzzFailure): string {
  const folder = corpusFolder(name)
  mkdirSync(folder, { recursive: true })
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12)
  const path = join(folder, `crash-${seed}-${hash}`)
  writeFileSync(path, bytes)
  return path
}

export function describeFailure(name: string, { seed, bytes, error }: FuzzFailure): string {
  const shown = Buffer.from(bytes.subarray(0, 256)).toString('hex')
  const more = bytes.length > 256 ? '…' : ''
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return [
    `${name} failed with seed ${seed} on ${bytes.length} bytes: ${shown}${more}`,
    text,
    `again: npm run fuzz -- ${name} --seed ${seed} --iterations 1`,
  ].join('\n')
}

/** A valid input, changed a little; or, one time in eight, noise. */
function makeInput(
  seed: number,
  starts: readonly Uint8Array[],
  tokens: readonly Uint8Array[],
): Uint8Array {
  const random = mulberry32(seed)
  const below = (limit: number): number => Math.floor(random() * limit)
  if (starts.length === 0 || below(8) === 0) {
    const noise = new Uint8Array(below(257))
    for (let at = 0; at < noise.length; at++) noise[at] = below(256)
    return noise
  }
  let bytes: Uint8Array = starts[below(starts.length)]?.slice() ?? new Uint8Array(0)
  for (let count = 1 + below(4); count > 0; count--) {
    bytes = mutate(bytes, below, starts, tokens)
  }
  return bytes.subarray(0, MAX_INPUT_BYTES)
}

function mutate(
  bytes: Uint8Array,
  below: (limit: number) => number,
  starts: readonly Uint8Array[],
  tokens: readonly Uint8Array[],
): Uint8Array {
  const at = below(bytes.length + 1)
  const end = at + below(Math.min(bytes.length - at, 64) + 1)
  switch (below(tokens.length > 0 ? 9 : 8)) {
    case 0: // flip a bit
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
      return bytes
    case 1: // set a byte
      if (at < bytes.length) bytes[at] = below(256)
      return bytes
    case 2: // leave a piece out
      return join3(bytes.subarray(0, at), NOTHING, bytes.subarray(end))
    case 3: // repeat a piece
      return join3(bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end))
    case 4: // end early
      return bytes.slice(0, at)
    case 5: // put in a number that lengths and counters trip over
      return join3(bytes.subarray(0, at), pick(BOUNDARIES, below), bytes.subarray(at))
    case 6: // write such a number over what is there
      return overwrite(bytes, at, pick(BOUNDARIES, below))
    case 7: // go on with another input
      return join3(bytes.subarray(0, at), NOTHING, pick(starts, below).subarray(below(16)))
    default:
      return join3(bytes.subarray(0, at), pick(tokens, below), bytes.subarray(at))
  }
}

function pick(from: readonly Uint8Array[], below: (limit: number) => number): Uint8Array {
  return from[below(from.length)] ?? NOTHING
}

function join3(a: Uint8Array, b: Uint8Array, c: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length + c.length)
  whole.set(a)
  whole.set(b, a.length)
  whole.set(c, a.length + b.length)
  return whole
}

function overwrite(bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  bytes.set(piece.subarray(0, bytes.length - at), at)
  return bytes
}

/** Tommy Ettinger's generator: 32 bits of state, enough to choose mutations by. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

const NOTHING = new Uint8Array(0)
const BOUNDARIES: readonly Uint8Array[] = [
  [0x00],
  [0x7f],
  [0x80],
  [0xff],
  [0x0d, 0x0a],
  [0x00, 0x00],
  [0xff, 0xff],
  [0x7f, 0xff],
  [0x80, 0x00],
  [0x00, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0x80, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
].map((bytes) => Uint8Array.from(bytes))
