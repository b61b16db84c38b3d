/** The page of error codes, `docs/errors.md`, from the one table in `src/core/error-codes.ts`. */
import { ERROR_CODES } from '../src/core/error-codes.ts'

interface Entry {
  readonly class: string
  readonly retryable: string
  readonly text: string
}

/** What each class means to the one who catches it; the order is the order on the page. */
const CLASSES: Readonly<Record<string, string>> = {
  UsageError: 'The caller is wrong: fix the code.',
  ProtocolError: 'The peer broke the protocol: drop the connection.',
  RemoteError: 'The peer answered correctly, with a failure: read `status` and `detail`.',
  AccessError: 'Refused because of who asks: bring other credentials, or change the policy.',
  TransportError: 'The network failed: try elsewhere.',
  TimeoutError: 'Time ran out; whether the work was done is unknown.',
  OverloadError: 'Refused before work began: back off.',
  ClosedError: 'Closed or draining: stop.',
  InternalError: 'A bug in heddle: report it.',
}

export function errorsPage(): string {
  const entries = Object.entries(ERROR_CODES as Readonly<Record<string, Entry>>)
  const unknown = entries.filter(([, entry]) => !(entry.class in CLASSES))
  if (unknown.length > 0) throw new Error(`no text for the class of ${unknown[0]?.[0]}`)
  const sections = Object.entries(CLASSES).map(([name, text]) => {
    const rows = entries
      .filter(([, entry]) => entry.class === name)
      .map(([code, entry]) => `| \`${code}\` | ${entry.retryable} | ${entry.text} |`)
    if (rows.length === 0) return ''
    return [
      `## ${name}`,
      '',
      text,
      '',
      '| code | retry | meaning |',
      '|---|---|---|',
      ...rows,
      '',
    ].join('\n')
  })
  return [
    '# Error codes',
    '',
    '<!-- Generated from src/core/error-codes.ts by `npm run gen`. Do not edit. -->',
    '',
    'Every error of heddle has a `code` from this page, a `retryable` and a `sent`. A code is never',
    'renamed and never changes its class. “retry” is the default of the code; an error that knows',
    'better, for example that nothing was sent, says so itself.',
    '',
    ...sections.filter((section) => section !== ''),
  ].join('\n')
}
