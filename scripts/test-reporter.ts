/**
 * The reporter of `npm test`: a line per file, every failure in full, and the closing lines of
 * Node's own reporters. Thousands of names that pass would hide the one that does not.
 */
import { relative } from 'node:path'
import { inspect } from 'node:util'

interface TestEvent {
  readonly type: string
  readonly data: EventData
}

interface EventData {
  readonly name: string
  readonly nesting: number
  readonly file?: string
  readonly line?: number
  readonly message?: string
  readonly skip?: string | boolean
  readonly todo?: string | boolean
  readonly details?: {
    readonly duration_ms: number
    readonly type?: string
    readonly error?: Error & { failureType?: string; cause?: unknown }
  }
  readonly counts?: { readonly tests: number; readonly passed: number; readonly failed: number }
  readonly duration_ms?: number
}

export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const failures: string[] = []
  const output = new Map<string, string[]>()
  for await (const { type, data } of source) {
    switch (type) {
      case 'test:fail':
        if (isOwnFailure(data)) failures.push(describeFailure(data))
        break
      case 'test:stdout':
      case 'test:stderr':
        remember(output, data.file ?? '', data.message ?? '')
        break
      case 'test:summary':
        if (data.file !== undefined) {
          const text = (output.get(data.file) ?? []).join('')
          output.delete(data.file)
          yield describeFile(data) + (failed(data) ? text : '')
        }
        break
      case 'test:diagnostic':
        if (data.nesting === 0 && data.file === undefined) {
          if (failures.length > 0) yield `\n${failures.splice(0).join('\n')}\n`
          yield `${data.message}\n`
        }
        break
    }
  }
  if (failures.length > 0) yield `\n${failures.join('\n')}\n`
}

/** A parent fails because of its children; only the child says something. */
function isOwnFailure(data: EventData): boolean {
  return data.details?.error?.failureType !== 'subtestsFailed'
}

function failed(data: EventData): boolean {
  return (data.counts?.failed ?? 0) > 0 || (data.counts?.tests ?? 0) > (data.counts?.passed ?? 0)
}

function remember(output: Map<string, string[]>, file: string, text: string): void {
  const lines = output.get(file)
  if (lines === undefined) output.set(file, [text])
  else lines.push(text)
}

function describeFile(data: EventData): string {
  const counts = data.counts ?? { tests: 0, passed: 0, failed: 0 }
  const mark = counts.failed > 0 ? '✖' : '✔'
  const file = relative(process.cwd(), data.file ?? '')
  const failures = counts.failed > 0 ? `, ${counts.failed} failed` : ''
  const milliseconds = Math.round(data.duration_ms ?? 0)
  return `${mark} ${file} (${counts.tests} tests${failures}, ${milliseconds} ms)\n`
}

function describeFailure(data: EventData): string {
  const place = data.file === undefined ? '' : relative(process.cwd(), data.file)
  const line = data.line === undefined ? '' : `:${data.line}`
  const error = data.details?.error
  const cause = error?.cause ?? error
  const text = typeof cause === 'string' ? cause : inspect(cause, { depth: 4 })
  return `✖ ${data.name}\n  at ${place}${line}\n${text.replace(/^/gm, '  ')}\n`
}
