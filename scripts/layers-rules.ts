/**
 * The rules between and inside layers, over a set of source files given as text. Pure, so that its
 * tests need no files: `scripts/layers.ts` reads them from `src`.
 */
import { posix } from 'node:path'
import { GLOBALS, LAYERS, PACKAGES, PROTOCOL_IMPORTS, SIZE } from './layers.config.ts'
import { type Import, readSource, type SourceFacts } from './layers-source.ts'
import { MIXED_CLOCKS, WALL_CLOCK } from './wall-clock.config.ts'

export interface Problem {
  readonly file: string
  readonly line: number
  readonly text: string
}

export interface Verdict {
  readonly problems: readonly Problem[]
  /** Sizes over the limit that give their reason. */
  readonly excused: readonly Problem[]
}

/** `files`: path inside the repository, such as `src/core/clock.ts`, to its text. */
export function checkLayers(files: ReadonlyMap<string, string>): Verdict {
  const problems: Problem[] = []
  const excused: Problem[] = []
  const graph = new Map<string, readonly string[]>()
  for (const [file, text] of files) {
    problems.push(...checkName(file))
    if (isTest(file)) continue // tests may look at everything
    const facts = readSource(file, text)
    problems.push(...checkImports(file, facts), ...checkGlobals(file, facts))
    problems.push(...checkClocks(file, facts))
    if (layerOf(file) === 'doors' && !facts.onlyReexports) {
      problems.push({ file, line: 1, text: 'a door only re-exports' })
    }
    for (const size of checkSizes(file, facts)) (size.excused ? excused : problems).push(size)
    graph.set(
      file,
      facts.imports.flatMap((each) => resolveImport(file, each) ?? []),
    )
  }
  problems.push(...findCycles(graph))
  return { problems, excused }
}

function isTest(file: string): boolean {
  return file.endsWith('.test.ts') || file.endsWith('.fuzz.ts')
}

function layerOf(file: string): string {
  return file.split('/')[1] ?? ''
}

/** The folder below the layer: the protocol of `src/protocols/http1/decoder.ts`. */
function partOf(file: string): string {
  return file.split('/')[2] ?? ''
}

function resolveImport(file: string, { specifier }: Import): string | undefined {
  if (specifier === undefined || !specifier.startsWith('.')) return undefined
  return posix.join(posix.dirname(file), specifier)
}

function checkName(file: string): Problem[] {
  const name = posix.basename(file)
  // A generator names its files after what it reads: `error_details_pb.ts`.
  const generated = name.endsWith('_pb.ts')
  const stem = name.replace(/(\.test|\.fuzz|\.d)?\.ts$/, '')
  const text =
    !generated && !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem)
      ? `${name}: files are kebab-case`
      : /^(index|utils?|helpers?|common|misc)$/.test(stem)
        ? `${name}: a file is named after its main export`
        : !(layerOf(file) in LAYERS)
          ? `${layerOf(file)} is not a layer of layers.config.ts`
          : undefined
  return text === undefined ? [] : [{ file, line: 1, text }]
}

function checkImports(file: string, facts: SourceFacts): Problem[] {
  return facts.imports.flatMap((each) => {
    const text = refuseImport(file, each)
    return text === undefined ? [] : [{ file, line: each.line, text }]
  })
}

function refuseImport(file: string, each: Import): string | undefined {
  const layer = layerOf(file)
  const rules = LAYERS[layer]
  const { specifier } = each
  if (rules === undefined) return undefined // already refused by its name
  if (specifier === undefined) {
    return rules.pure ? 'a pure layer imports only what it names' : undefined
  }
  const target = resolveImport(file, each)
  if (target !== undefined) return refuseFile(file, target)
  if (specifier.startsWith('node:')) return refuseNodeModule(layer, each)
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  const place = layer === 'protocols' ? `protocols/${partOf(file)}` : layer
  const allowed = PACKAGES.some((one) => one.name === name && one.by.includes(place))
  return allowed ? undefined : `${place} may not import the package ${name} (PACKAGES)`
}

function refuseFile(file: string, target: string): string | undefined {
  const from = layerOf(file)
  const to = layerOf(target)
  if (!target.startsWith('src/')) return `${target} is outside src`
  if (isTest(target)) return `${target} is a test`
  if (from !== to) {
    const allowed = LAYERS[from]?.imports.includes(to) === true
    return allowed ? undefined : `${from} may not import ${to}`
  }
  if (from !== 'protocols' || partOf(file) === partOf(target)) return undefined
  const listed = PROTOCOL_IMPORTS.some(
    (one) => one.from === partOf(file) && one.to === partOf(target),
  )
  return listed
    ? undefined
    : `protocol ${partOf(file)} may not import ${partOf(target)} (PROTOCOL_IMPORTS)`
}

function refuseNodeModule(layer: string, { specifier, names }: Import): string | undefined {
  const rules = LAYERS[layer]
  if (rules?.pure === true) return `${layer} is pure and may not import ${specifier}`
  if (rules?.ambientClock === true) return undefined
  if (/^node:(timers|process)\b/.test(specifier ?? '')) {
    return `${layer} takes a Clock and may not import ${specifier}`
  }
  const clock = specifier === 'node:perf_hooks' && names.includes('performance')
  return clock ? `${layer} takes a Clock and may not import performance` : undefined
}

function checkGlobals(file: string, facts: SourceFacts): Problem[] {
  const layer = layerOf(file)
  const rules = LAYERS[layer]
  if (rules === undefined) return []
  const refused = new Set([
    ...(rules.ambientClock === true ? [] : GLOBALS.clockAndRandom),
    ...(rules.pure ? GLOBALS.platform : []),
  ])
  const excused = GLOBALS.exceptions.filter((one) => one.file === file).map((one) => one.name)
  return facts.globals
    .filter(({ name }) => refused.has(name) && !excused.includes(name))
    .map(({ name, line }) => ({ file, line, text: `${layer} may not use ${name}` }))
}

/** Deadlines and policies are monotonic; the wall clock is for people, certificates and tokens. */
function checkClocks(file: string, facts: SourceFacts): Problem[] {
  const found: Problem[] = []
  const [line] = facts.wallClock
  if (line !== undefined && !Object.hasOwn(WALL_CLOCK, file)) {
    const text = 'only files of wall-clock.config.ts may ask for the wall clock, each with a reason'
    found.push({ file, line, text })
  }
  if (line === undefined && Object.hasOwn(WALL_CLOCK, file)) {
    found.push({ file, line: 1, text: 'it is in wall-clock.config.ts and asks for no wall clock' })
  }
  if (Object.hasOwn(MIXED_CLOCKS, file)) return found
  for (const mixed of facts.mixedClocks) {
    found.push({ file, line: mixed, text: 'wall clock and monotonic clock are never mixed' })
  }
  return found
}

function checkSizes(file: string, facts: SourceFacts): (Problem & { excused: boolean })[] {
  if (file.endsWith('_pb.ts')) return [] // generated: nobody reads it
  const found: (Problem & { excused: boolean })[] = []
  if (facts.lines > SIZE.fileLines) {
    const reason = facts.sizeReason
    const size = `${facts.lines} lines, over ${SIZE.fileLines}`
    const text = reason === undefined ? `${size}: split it, or say why: // size: …` : reason
    found.push({ file, line: 1, text: `${size}: ${text}`, excused: reason !== undefined })
  }
  for (const { name, line, lines, reason } of facts.functions) {
    if (lines <= SIZE.functionLines) continue
    const size = `${name}: ${lines} lines, over ${SIZE.functionLines}`
    const text = reason ?? 'split it, or say why above it: // size: …'
    found.push({ file, line, text: `${size}: ${text}`, excused: reason !== undefined })
  }
  return found
}

/** Every import cycle, types included, once: Tarjan's strongly connected components. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): Problem[] {
  const order = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const problems: Problem[] = []
  const visit = (file: string): void => {
    order.set(file, order.size)
    low.set(file, order.size - 1)
    stack.push(file)
    for (const next of graph.get(file) ?? []) {
      if (!graph.has(next)) continue
      if (!order.has(next)) {
        visit(next)
        low.set(file, Math.min(low.get(file) ?? 0, low.get(next) ?? 0))
      } else if (stack.includes(next)) {
        low.set(file, Math.min(low.get(file) ?? 0, order.get(next) ?? 0))
      }
    }
    if (low.get(file) !== order.get(file)) return
    const component = stack.splice(stack.indexOf(file))
    if (component.length > 1 || graph.get(file)?.includes(file) === true) {
      problems.push({ file, line: 1, text: `import cycle: ${component.join(' → ')} → ${file}` })
    }
  }
  for (const file of graph.keys()) if (!order.has(file)) visit(file)
  return problems
}
