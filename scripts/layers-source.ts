/** Reads one source file into the facts that the layer rules need: imports, globals, sizes. */
import { parseSync } from 'oxc-parser'

export interface Import {
  /** As written; undefined for a dynamic import of an expression. */
  readonly specifier: string | undefined
  /** Names taken from the module; empty for a namespace or a dynamic import. */
  readonly names: readonly string[]
  readonly line: number
}

export interface GlobalUse {
  /** `setTimeout`, or with its property where the rule is about that: `Math.random`. */
  readonly name: string
  readonly line: number
}

export interface FunctionSize {
  readonly name: string
  readonly line: number
  readonly lines: number
  readonly reason: string | undefined
}

export interface SourceFacts {
  readonly imports: readonly Import[]
  readonly globals: readonly GlobalUse[]
  readonly functions: readonly FunctionSize[]
  /** Lines that ask for the wall clock. */
  readonly wallClock: readonly number[]
  /** Lines that compare or subtract values of the wall clock and of the monotonic one. */
  readonly mixedClocks: readonly number[]
  readonly lines: number
  /** The file is nothing but `export … from` another. */
  readonly onlyReexports: boolean
  /** The text of a `size:` comment at the top of the file. */
  readonly sizeReason: string | undefined
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

/** How far from the top a `size:` comment speaks for the whole file. */
const TOP_LINES = 30

/** Objects whose properties are judged one by one. */
const OBJECTS_WITH_RULES = new Set(['Math', 'Date'])

export function readSource(path: string, text: string): SourceFacts {
  const { program, errors, comments } = parseSync(path, text)
  const error = errors[0]
  if (error !== undefined) throw new Error(`${path}: ${error.message}`)
  const lineOf = lineCounter(text)
  const sizeComments = comments
    .filter((comment) => /\bsize:\s*\S/.test(comment.value))
    .map((comment) => ({
      first: lineOf(comment.start),
      last: lineOf(comment.end),
      reason: comment.value.replace(/\s*\*?\s+/g, ' ').replace(/^.*?\bsize:\s*/, ''),
    }))
  const reader = new Reader(lineOf, (first) => reasonAt(sizeComments, first))
  reader.visit(program as unknown as Node, undefined, undefined)
  return {
    imports: reader.imports,
    globals: reader.globals.filter((use) => !reader.declared.has(use.name.split('.')[0] ?? '')),
    functions: reader.functions,
    wallClock: reader.wallClock,
    mixedClocks: reader.mixedClocks,
    lines: text.split('\n').length - 1,
    onlyReexports: (program.body as unknown as Node[]).every(
      (node) => /^Export(Named|All)Declaration$/.test(node.type) && isNode(node.source),
    ),
    sizeReason: sizeComments.find((comment) => comment.first <= TOP_LINES)?.reason,
  }
}

/** A function's reason stands right above it or on its first line. */
function reasonAt(
  comments: readonly { first: number; last: number; reason: string }[],
  line: number,
): string | undefined {
  return comments.find((comment) => comment.last >= line - 1 && comment.first <= line + 1)?.reason
}

class Reader {
  readonly imports: Import[] = []
  readonly globals: GlobalUse[] = []
  readonly functions: FunctionSize[] = []
  readonly wallClock: number[] = []
  readonly mixedClocks: number[] = []
  /** Every name the file declares somewhere: a use of it is not a use of the global. */
  readonly declared = new Set<string>()
  readonly #lineOf: (offset: number) => number
  readonly #reasonAt: (line: number) => string | undefined

  constructor(
    lineOf: (offset: number) => number,
    sizeReasonAt: (line: number) => string | undefined,
  ) {
    this.#lineOf = lineOf
    this.#reasonAt = sizeReasonAt
  }

  visit(node: Node, parent: Node | undefined, key: string | undefined): void {
    this.#readImport(node)
    this.#readDeclaration(node)
    this.#readFunction(node, parent)
    this.#readClocks(node)
    if (node.type === 'Identifier') this.#readIdentifier(node, parent, key)
    for (const [childKey, value] of Object.entries(node)) {
      if (Array.isArray(value)) {
        for (const item of value) if (isNode(item)) this.visit(item, node, childKey)
      } else if (isNode(value)) {
        this.visit(value, node, childKey)
      }
    }
  }

  #readImport(node: Node): void {
    const line = this.#lineOf(node.start)
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportNamedDeclaration':
      case 'ExportAllDeclaration':
        if (isNode(node.source)) {
          this.imports.push({ specifier: literal(node.source), names: namesOf(node), line })
        }
        break
      case 'ImportExpression':
      case 'TSImportType':
        if (isNode(node.source)) {
          this.imports.push({ specifier: literal(node.source), names: [], line })
        }
        break
      case 'TSExternalModuleReference':
        if (isNode(node.expression)) {
          this.imports.push({ specifier: literal(node.expression), names: [], line })
        }
        break
    }
  }

  #readDeclaration(node: Node): void {
    switch (node.type) {
      case 'VariableDeclarator':
        this.#declarePattern(node.id)
        break
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
        this.#declarePattern(node.id)
        for (const parameter of node.params as unknown[]) this.#declarePattern(parameter)
        break
      case 'ClassDeclaration':
        this.#declarePattern(node.id)
        break
      case 'ImportSpecifier':
      case 'ImportDefaultSpecifier':
      case 'ImportNamespaceSpecifier':
        this.#declarePattern(node.local)
        break
      case 'CatchClause':
        this.#declarePattern(node.param)
        break
    }
  }

  #declarePattern(pattern: unknown): void {
    if (!isNode(pattern)) return
    switch (pattern.type) {
      case 'Identifier':
        this.declared.add(pattern.name as string)
        break
      case 'ObjectPattern':
        for (const property of pattern.properties as Node[]) {
          this.#declarePattern(property.type === 'RestElement' ? property : property.value)
        }
        break
      case 'ArrayPattern':
        for (const element of pattern.elements as unknown[]) this.#declarePattern(element)
        break
      case 'AssignmentPattern':
        this.#declarePattern(pattern.left)
        break
      case 'RestElement':
        this.#declarePattern(pattern.argument)
        break
    }
  }

  #readFunction(node: Node, parent: Node | undefined): void {
    if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) {
      return
    }
    // A method is a function expression inside its definition: that is where it begins.
    const method = parent?.type === 'MethodDefinition' || parent?.type === 'Property'
    const start = this.#lineOf(method && parent !== undefined ? parent.start : node.start)
    const lines = this.#lineOf(node.end) - start + 1
    const named = node.id ?? (parent?.key as unknown) ?? (parent?.id as unknown)
    const name = isNode(named) && typeof named.name === 'string' ? named.name : '(anonymous)'
    this.functions.push({ name, line: start, lines, reason: this.#reasonAt(start) })
  }

  #readClocks(node: Node): void {
    const line = this.#lineOf(node.start)
    if (node.type === 'MemberExpression' && nameOf(node.property) === 'wallNow') {
      this.wallClock.push(line)
    }
    const taken = node.type === 'ObjectPattern' ? (node.properties as Node[]) : []
    if (taken.some(({ key }) => nameOf(key) === 'wallNow')) this.wallClock.push(line)
    if (node.type !== 'BinaryExpression') return
    const clocks = [clockOf(node.left), clockOf(node.right)]
    if (clocks.includes('wall') && clocks.includes('monotonic')) this.mixedClocks.push(line)
  }

  #readIdentifier(node: Node, parent: Node | undefined, key: string | undefined): void {
    if (parent === undefined) return
    const name = node.name as string
    const computed = parent.computed === true
    if (key === 'property' && parent.type === 'MemberExpression' && !computed) return
    if (key === 'key' && !computed) return
    if (/^(Import|Export).*Specifier$/.test(parent.type)) return
    if (parent.type.startsWith('TS') && parent.type !== 'TSAsExpression') {
      // Types; the compiler decides about those. `x!` and `x satisfies T` hold expressions.
      if (!/^TS(NonNull|Satisfies|Instantiation)/.test(parent.type)) return
    }
    const line = this.#lineOf(node.start)
    if (!OBJECTS_WITH_RULES.has(name)) {
      this.globals.push({ name, line })
    } else if (parent.type === 'MemberExpression' && isNode(parent.property)) {
      this.globals.push({ name: `${name}.${parent.property.name as string}`, line })
    } else if (parent.type === 'NewExpression' && (parent.arguments as unknown[]).length === 0) {
      this.globals.push({ name: `${name}.now`, line }) // `new Date()` asks for the time as well
    }
  }
}

function nameOf(node: unknown): string | undefined {
  return isNode(node) && typeof node.name === 'string' ? node.name : undefined
}

/** Which clock an operand is a value of, by the names that this code base gives them. */
function clockOf(operand: unknown): 'wall' | 'monotonic' | undefined {
  if (!isNode(operand)) return undefined
  const called = operand.type === 'CallExpression' ? operand.callee : operand
  if (!isNode(called)) return undefined
  const name = called.type === 'MemberExpression' ? nameOf(called.property) : nameOf(called)
  if (name === undefined) return undefined
  if (/^wall(Now|Time)?$|WallMs$|^wallMs$/.test(name)) return 'wall'
  return name === 'now' ? 'monotonic' : undefined
}

function namesOf(node: Node): string[] {
  const specifiers = (node.specifiers ?? []) as Node[]
  return specifiers.flatMap((specifier) => {
    const name = (specifier.imported ??
      (node.type.startsWith('Export') ? specifier.local : null)) as Node | null
    return name === null || typeof name.name !== 'string' ? [] : [name.name]
  })
}

function literal(node: Node): string | undefined {
  return typeof node.value === 'string' ? node.value : undefined
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

function lineCounter(text: string): (offset: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}
