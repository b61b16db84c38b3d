/**
 * Templates of anybody: refused with ERR_SCHEMA, or such that what they say is what they match, as a
 * matcher finds that knows nothing of tries.
 */
import { UsageError } from '../../core/errors.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { PathMatcher } from './path-matcher.ts'
import { type PathTemplate, parsePathTemplate } from './path-template.ts'

const text = (value: string): Uint8Array => Uint8Array.from(value, (char) => char.charCodeAt(0))

export const samples: readonly Uint8Array[] = [
  text('/v1/{name=shelves/*/books/*}:archive\n/v1/*/x\n/v1/shelves/1/books/2:archive'),
  text('/a/{b.c}/**\n/a/b/{c=d/**}\n/a/%2e/c%2Fd/..'),
  text('/{x=**}\n/{x}/y\n/%c3%bc/y:z'),
]

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const lines = String.fromCharCode(...bytes.subarray(0, 512)).split('\n')
  const path = `/${(lines.pop() ?? '').replace(/^\//, '').replace(/[?#]/g, '')}`
  const templates = lines.flatMap(parsed)
  const matcher = new PathMatcher<PathTemplate>()
  for (const template of templates) matcher.add('GET', template, template)
  let found: ReturnType<typeof matcher.match>
  try {
    found = matcher.match('GET', path)
  } catch (error) {
    if (error instanceof GrpcError && error.status === 'INVALID_ARGUMENT') return
    throw error
  }
  const decoded = path.slice(1).split('/').map(decodeURIComponent)
  const fitting = templates.filter((template) => fits(template, decoded))
  if (found === undefined) {
    if (fitting.length > 0) throw new Error(`${path} should follow ${fitting[0]?.text}`)
    return
  }
  if ('allowed' in found) throw new Error('there is one method only')
  const { target, values } = found
  if (!fitting.includes(target)) throw new Error(`${path} does not follow ${target.text}`)
  if (values.length !== target.variables.length) throw new Error(`${values.length} values`)
}

function parsed(line: string): PathTemplate[] {
  try {
    return [parsePathTemplate(line)]
  } catch (error) {
    if (error instanceof UsageError && error.code === 'ERR_SCHEMA') return []
    throw error
  }
}

function fits({ segments, verb }: PathTemplate, path: readonly string[]): boolean {
  const last = path.at(-1) ?? ''
  if (verb !== undefined && !last.endsWith(`:${verb}`)) return false
  const cut = verb === undefined ? path : [...path.slice(0, -1), last.slice(0, -verb.length - 1)]
  const open = segments.at(-1)?.kind === 'rest'
  const fixed = open ? segments.slice(0, -1) : segments
  if (open ? cut.length < fixed.length : cut.length !== fixed.length) return false
  return fixed.every((segment, index) =>
    segment.kind === 'literal' ? segment.text === cut[index] : cut[index] !== '',
  )
}
