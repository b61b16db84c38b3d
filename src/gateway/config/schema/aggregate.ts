/**
 * `aggregate` of a route: one request becomes several, and their answers one (docs/aggregation.md).
 */
import { z } from 'zod'
import { count, duration, headerName, methodName, name, size, urlPath } from './primitives.ts'

const part = z
  .strictObject({
    cluster: name().describe('Is asked'),
    path: urlPath()
      .optional()
      .describe(
        'Asked for; :name inserts what the route’s pattern matched, a final * the rest. Default the ' +
          'client’s path',
      ),
    query: z
      .record(z.string().min(1), z.string())
      .optional()
      .describe('Instead of the client’s query; :name inserts what the pattern matched'),
    method: methodName().default('GET'),
    send_body: z.boolean().default(false).describe('Send the client’s body'),
    timeout: duration(1).default('5s').describe('Of this part, its answer’s body included'),
    required: z
      .boolean()
      .default(false)
      .describe('Without it there is no answer; the others are given up'),
  })
  .describe('What is asked, by the name it has in the answer')

export const aggregate = z
  .strictObject({
    parts: z
      .record(name(), part)
      .refine((parts) => Object.keys(parts).length >= 1, 'an aggregate has at least one part')
      .refine((parts) => Object.keys(parts).length <= 16, 'an aggregate has at most 16 parts')
      .refine((parts) => !('errors' in parts), "no part is named 'errors': failures stand there"),
    merge: z
      .enum(['by_name', 'object', 'array'])
      .default('by_name')
      .describe(
        'by_name: {part: answer}; object: the members of all answers, of the same name the later ' +
          'part’s; array: [{name, status, body}]',
      ),
    partial_status: count(200, 299)
      .default(200)
      .describe('Of an answer in which parts that are not required are missing'),
    max_part_size: size(0, 64 * 1024 * 1024)
      .default('1MiB')
      .describe('Of one part’s answer; a longer one is a failed part'),
    max_body: size(0, 64 * 1024 * 1024)
      .default('64KiB')
      .describe('Of the client’s body, where a part is sent it; a longer one is answered 413'),
    forward_headers: z
      .array(headerName())
      .max(64)
      .optional()
      .describe(
        'Of the client’s fields only these go to the parts. Default all that end at no hop',
      ),
  })
  .describe('Ask several clusters at once, and answer with one JSON document')

export type AggregateConfig = z.output<typeof aggregate>
export type AggregatePartConfig = z.output<typeof part>
