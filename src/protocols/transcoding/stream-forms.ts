/**
 * A stream of messages in the body of HTTP.
 *
 *     ndjson   {"n":1}⏎ {"n":2}⏎                        and {"error":{"code":5,…}}⏎ at the end of a failed one
 *     sse      data: {"n":1}⏎⏎                          and event: error⏎data: {"code":5,…}⏎⏎
 *     array    [{"n":1},⏎{"n":2}]                       and {"error":…} as its last element
 */
import type { StreamForm } from './transcoding-options.ts'

export interface StreamWriter {
  readonly contentType: string
  message(json: string): string
  /** @param error its google.rpc.Status in JSON; undefined: it ended well */
  end(error: string | undefined): string
}

/** One writer for one stream. */
export function streamWriter(form: StreamForm, wrap: boolean): StreamWriter {
  const wrapped = (json: string): string => (wrap ? `{"result":${json}}` : json)
  if (form === 'sse') {
    return {
      contentType: 'text/event-stream',
      message: (json) => `data: ${wrapped(json)}\n\n`,
      end: (error) => (error === undefined ? '' : `event: error\ndata: ${error}\n\n`),
    }
  }
  if (form === 'ndjson') {
    return {
      contentType: 'application/x-ndjson',
      message: (json) => `${wrapped(json)}\n`,
      end: (error) => (error === undefined ? '' : `{"error":${error}}\n`),
    }
  }
  let separator = '['
  const element = (json: string): string => {
    const text = separator + json
    separator = ',\n'
    return text
  }
  return {
    contentType: 'application/json',
    message: (json) => element(wrapped(json)),
    end: (error) => {
      const last = error === undefined ? '' : element(`{"error":${error}}`)
      return `${separator === '[' ? '[' : last}]`
    },
  }
}

/**
 * The form that the client names first in `Accept`, among those that there are.
 *
 * @param fallback where it names none, or takes anything
 */
export function acceptedForm(accept: string | undefined, fallback: StreamForm): StreamForm {
  if (accept === undefined) return fallback
  for (const range of accept.split(',', MAX_RANGES)) {
    const parts = range.split(';')
    if (parts.some((part) => /^\s*q=0(\.0{0,3})?\s*$/i.test(part))) continue
    const form = FORMS.get((parts[0] as string).trim().toLowerCase())
    if (form !== undefined) return form
  }
  return fallback
}

const MAX_RANGES = 32
const FORMS: ReadonlyMap<string, StreamForm> = new Map([
  ['text/event-stream', 'sse'],
  ['application/x-ndjson', 'ndjson'],
  ['application/ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
  ['application/json', 'array'],
])
