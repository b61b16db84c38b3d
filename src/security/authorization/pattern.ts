/**
 * Patterns of actions and resources. No regular expressions: matching takes at most the product of
 * both lengths, whatever the pattern and whoever chose the text.
 *
 * | pattern      | matches |
 * |--------------|---------|
 * | `*`          | within one segment, any characters, also none |
 * | `**`         | as a whole segment: any number of segments, also none |
 * | `{id}`       | as a whole segment: the principal's id, and nothing for anonymous callers |
 * | anything else | itself; case counts |
 */
import { UsageError } from '../../core/errors.ts'

export type Pattern = (text: string, principalId: string | undefined) => boolean

export interface PatternOptions {
  /** What stands between segments: `/` of paths, `.` of topics; '': the text is one segment. */
  separator: string
}

/** @throws UsageError ERR_ARGUMENT for a pattern that is empty, too long, or has a stray `**` */
export function compilePattern(source: string, { separator }: PatternOptions): Pattern {
  if (source === '' || source.length > MAX_PATTERN) {
    const message = `a pattern has ${source.length} characters, must be 1 to ${MAX_PATTERN}`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  if (separator === '') return source === '**' ? () => true : compileSegment(source)
  if (source === '**') return () => true
  const segments = source.split(separator).map((segment) => {
    return segment === '**' ? ANY : compileSegment(segment)
  })
  if (!segments.includes(ANY) && !source.includes('*') && !source.includes('{id}')) {
    return (text) => text === source
  }
  return (text, id) => matchSegments(segments, text.split(separator), id)
}

function compileSegment(source: string): Pattern {
  if (source === '*') return () => true
  if (source === '{id}') return (text, id) => id !== undefined && text === id
  if (source.includes('**') || source.includes('{id}')) {
    const message = `'${source}': ** and {id} stand alone between separators`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  if (!source.includes('*')) return (text) => text === source
  return (text) => matchStars(source, text)
}

/**
 * One place to go back to, the last `**`: what an earlier one could take, the last one can take as
 * well, so there is never a reason to go further back.
 */
function matchSegments(
  pattern: readonly Pattern[],
  text: readonly string[],
  id: string | undefined,
): boolean {
  let at = 0
  let next = 0
  let star = -1
  let taken = 0
  while (next < text.length) {
    const one = pattern[at]
    if (one === ANY) {
      star = at++
      taken = next
    } else if (one?.(text[next] as string, id) === true) {
      at++
      next++
    } else if (star >= 0) {
      at = star + 1
      next = ++taken
    } else return false
  }
  while (pattern[at] === ANY) at++
  return at === pattern.length
}

/** The same within a segment, for `*`. */
function matchStars(pattern: string, text: string): boolean {
  let at = 0
  let next = 0
  let star = -1
  let taken = 0
  while (next < text.length) {
    if (pattern[at] === '*') {
      star = at++
      taken = next
    } else if (at < pattern.length && pattern[at] === text[next]) {
      at++
      next++
    } else if (star >= 0) {
      at = star + 1
      next = ++taken
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}

const ANY: Pattern = () => true
const MAX_PATTERN = 512
