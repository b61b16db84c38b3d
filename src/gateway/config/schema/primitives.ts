/**
 * The words a configuration is made of: durations, sizes, names, addresses, hosts, header names.
 *
 * Values stay as they were written (a duration is text), so that the effective configuration can be
 * printed and the JSON Schema describes exactly what a user types. `quantity.ts` reads them.
 */
import { isIP } from 'node:net'
import { z } from 'zod'
import { parseAddress } from '../../../core/address.ts'
import { isFieldValue, isToken } from '../../../protocols/http/fields.ts'
import { DURATION_PATTERN, parseDuration, parseSize, SIZE_PATTERN } from '../quantity.ts'

const DURATION_HELP = 'a duration is a number and a unit: 250ms, 0.25s, 5m, 1h'
const SIZE_HELP = 'a size is a number of bytes or has a unit: 512B, 16KiB, 1MiB, 10MB'

/** A duration of at least `min` milliseconds. */
export const duration = (min = 0) =>
  z
    .string({ error: (issue) => `${show(issue.input)}: ${DURATION_HELP}` })
    .regex(new RegExp(DURATION_PATTERN), {
      abort: true,
      error: (issue) => `${show(issue.input)}: ${DURATION_HELP}`,
    })
    .refine((text) => parseDuration(text) !== undefined, {
      abort: true,
      error: (issue) => `${show(issue.input)} is longer than 100 days`,
    })
    .refine((text) => (parseDuration(text) ?? 0) >= min, {
      error: (issue) => `${show(issue.input)} is shorter than ${min}ms`,
    })

/** A size in bytes, of at least `min` and at most `max`. */
export const size = (min = 0, max: number = Number.MAX_SAFE_INTEGER) =>
  z
    .union(
      [
        z.int().nonnegative(),
        z.string().regex(new RegExp(SIZE_PATTERN), {
          error: (issue) => `${show(issue.input)}: ${SIZE_HELP}`,
        }),
      ],
      {
        error: (issue) => `${show(issue.input)}: ${SIZE_HELP}`,
      },
    )
    .refine((value) => parseSize(value) !== undefined, {
      abort: true,
      error: (issue) => `${show(issue.input)}: ${SIZE_HELP}`,
    })
    .refine((value) => inRange(parseSize(value), min, max), {
      error: (issue) => `${show(issue.input)} is not from ${min} to ${max} bytes`,
    })

/** A whole number from `min` to `max`. */
export const count = (min: number, max: number) =>
  z
    .int({ error: (issue) => `${show(issue.input)} is not a whole number` })
    .min(min, { error: (issue) => `${show(issue.input)} is less than ${min}` })
    .max(max, { error: (issue) => `${show(issue.input)} is more than ${max}` })

/** SHA-256 of a public key, as in RFC 7469. */
export const pin = () =>
  z.string().regex(/^sha256\/[A-Za-z0-9+/]{43}=$/, {
    error: (issue) => `${show(issue.input)} is not sha256/<base64 of 32 bytes>`,
  })

export const port = () => count(1, 65_535)

/** Names of listeners, routes and clusters: they stand in metrics, logs and URLs. */
export const name = () =>
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, {
    error: (issue) =>
      `${show(issue.input)}: a name has up to 63 letters, digits, '.', '_' or '-', the first a letter or digit`,
  })

/** `host:port`, `:port`, `[v6]:port`, `unix:/path`, `unix-abstract:name`. */
export const address = () =>
  z.string().superRefine((text, context) => {
    try {
      const parsed = parseAddress(text)
      if (parsed.kind === 'ip' || parsed.kind === 'unix') return
      context.addIssue({ code: 'custom', message: `'${text}': expected host:port or unix:/path` })
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
    }
  })

/** Where a listener binds: an address, or a descriptor that systemd passed. */
export const listenAddress = () =>
  z.string().superRefine((text, context) => {
    if (/^systemd:[\w.-]+$/.test(text) || /^fd:\d{1,4}$/.test(text)) return
    const outcome = address().safeParse(text)
    if (outcome.success) return
    for (const issue of outcome.error.issues) {
      context.addIssue({ code: 'custom', message: issue.message })
    }
  })

/** `a.example`, `*.example` (one or more labels), `*`. */
export const hostPattern = () =>
  z
    .string()
    .regex(/^(?:\*|(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.:-]*[A-Za-z0-9_])?|\[[0-9a-fA-F:.]+\])$/, {
      error: (issue) => `${show(issue.input)}: a host is a.example, *.example or *, without a port`,
    })

export const headerName = () =>
  z.string().refine(isToken, { error: (issue) => `${show(issue.input)} is not a header name` })

/** Numbers and booleans are taken as text: `x-version: 2`. */
export const headerValue = () =>
  z.union([z.string(), z.number(), z.boolean()]).refine((value) => isFieldValue(String(value)), {
    error: 'a header value cannot hold control characters or characters above U+00FF',
  })

/** A path of the URL that begins with a slash and holds no query. */
export const urlPath = () =>
  z.string().regex(/^\/[^?#\s]*$/, {
    error: (issue) => `${show(issue.input)}: a path begins with '/' and has no '?', '#' or space`,
  })

export const methodName = () =>
  z.string().regex(/^[A-Z][A-Z0-9-]*$/, {
    error: (issue) => `${show(issue.input)}: a method is written in capitals, as GET`,
  })

export const cidr = () =>
  z.string().refine(isCidr, {
    error: (issue) => `${show(issue.input)} is not an address or range such as 10.0.0.0/8`,
  })

export const fileName = () => z.string().min(1, 'a file name cannot be empty')

/** A number from 0 to 100. */
export const percent = () =>
  z
    .number()
    .min(0, { error: (issue) => `${show(issue.input)} is less than 0` })
    .max(100, { error: (issue) => `${show(issue.input)} is more than 100` })

/** A value as it may be shown in a message: short, on one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? String(value))
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

function inRange(value: number | undefined, min: number, max: number): boolean {
  return value !== undefined && value >= min && value <= max
}

function isCidr(text: string): boolean {
  const slash = text.indexOf('/')
  const host = slash < 0 ? text : text.slice(0, slash)
  const family = isIP(host)
  if (family === 0) return false
  if (slash < 0) return true
  const bits = text.slice(slash + 1)
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
}
