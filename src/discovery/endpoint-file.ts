/** The text of an endpoint file as instances; every mistake with its line. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { parseAddress } from '../core/address.ts'
import { toError, UsageError } from '../core/errors.ts'
import type { Instance } from './instance.ts'
import { isRecord, type JsonRecord, textRecord } from './json-value.ts'

/**
 * @param file its name, for messages
 * @throws UsageError ERR_CONFIG
 */
export function parseEndpointFile(text: string, file: string): Instance[] {
  const lines = new LineCounter()
  const fail = (at: number | undefined, message: string): never => {
    const line = at === undefined ? 1 : lines.linePos(at).line
    throw new UsageError('ERR_CONFIG', `${file}:${line} ${message}`)
  }
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) return fail(error.pos[0], `is not valid: ${error.message}`)
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) return fail(undefined, 'is empty')
  const list = isMap(root) ? root.get('endpoints', true) : root
  if (!isSeq(list)) return fail(root.range?.[0], 'has no list of endpoints')
  return list.items.map((item) => {
    const node = item as Node
    try {
      // Aliases are expanded at most so often: "billion laughs".
      return readEntry(node.toJS(document, { maxAliasCount: MAX_ALIASES }) as unknown)
    } catch (cause) {
      return fail(node.range?.[0], toError(cause).message)
    }
  })
}

function readEntry(entry: unknown): Instance {
  if (typeof entry === 'string') {
    return { endpoint: { address: addressOf(entry) }, healthy: true }
  }
  if (!isRecord(entry)) throw new Error('an endpoint is host:port or has an address')
  for (const key of Object.keys(entry)) {
    if (!KEYS.has(key)) throw new Error(`an endpoint has no '${key}'`)
  }
  const { address, locality, hostname, healthy = true } = entry
  if (typeof address !== 'string') throw new Error('an endpoint has an address')
  if (typeof healthy !== 'boolean') throw new Error('healthy is true or false')
  const weight = numberOf(entry, 'weight', 0.01, 1_000_000)
  const priority = numberOf(entry, 'priority', 0, 1_000)
  return {
    endpoint: {
      address: addressOf(address),
      ...(weight !== undefined && { weight }),
      ...(priority !== undefined && { priority }),
      ...(locality !== undefined && { locality: textOf('locality', locality) }),
      ...(hostname !== undefined && { hostname: textOf('hostname', hostname) }),
    },
    healthy,
    metadata: textRecord(entry['metadata']),
  }
}

function addressOf(text: string): Instance['endpoint']['address'] {
  const address = parseAddress(text)
  if (address.kind === 'ip' ? address.port > 0 && !text.startsWith(':') : address.kind === 'unix') {
    return address
  }
  throw new Error(`'${text}' is not host:port or unix:/path`)
}

function numberOf(entry: JsonRecord, key: string, min: number, max: number): number | undefined {
  const value = entry[key]
  if (value === undefined) return undefined
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw new Error(`${key} is a number from ${min} to ${max}`)
}

function textOf(key: string, value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw new Error(`${key} is text`)
}

const KEYS: ReadonlySet<string> = new Set([
  'address',
  'weight',
  'priority',
  'locality',
  'hostname',
  'healthy',
  'metadata',
])
const MAX_ALIASES = 100
