/**
 * Comparing how two servers read the same bytes: what we read, inputs to try, and what counts as a
 * difference.
 *
 * Another server may refuse what we accept, and accept what we refuse. It may not see other
 * requests than we do: that is what request smuggling lives on.
 */

import { HttpFields } from '../../src/protocols/http/fields.ts'
import { Http1ServerSession } from '../../src/protocols/http1/server-session.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { smugglingCorpus } from './smuggling-corpus.ts'

/** One complete request, as a server read it. */
export interface ReadRequest {
  readonly method: string
  /** Path and query; an absolute target without its authority. */
  readonly target: string
  /** name in small letters, value. */
  readonly fields: readonly (readonly [string, string])[]
  readonly body: string
}

export interface Reading {
  readonly requests: readonly ReadRequest[]
  /** Whether the input ended in something other than complete requests. */
  readonly refused: boolean
}

export function readAsHeddle(bytes: Uint8Array): Reading {
  const session = new Http1ServerSession({ allowHalfClose: true }, 0)
  const requests: ReadRequest[] = []
  let head: Omit<ReadRequest, 'body'> | undefined
  let body = ''
  const finish = (exchange: number): void => {
    requests.push({ ...(head as ReadRequest), body })
    body = ''
    const fields = new HttpFields()
    const response = { status: 404, reason: undefined, fields, body: undefined } as const
    session.submit({ type: 'respond', exchange, ...response }, 0)
  }
  session.receive(bytes, 0)
  for (let round = 0; round < 2; round++) {
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      const { type, exchange } = event
      if (type === 'request') {
        const { method, target } = event
        const fields = [...event.fields].map(
          ([name, value]) => [name.toLowerCase(), value] as const,
        )
        head = { method, target, fields }
        if (event.hasBody) session.submit({ type: 'demand', exchange, wanted: true }, 0)
        else finish(exchange)
      } else if (type === 'data') body += Buffer.from(event.chunk).toString('latin1')
      else if (type === 'end') finish(exchange)
    }
    if (round === 0) session.receiveEnd(0)
  }
  // Behind a CONNECT that is turned down we close, whatever follows; others may read on.
  const closed = requests.at(-1)?.method === 'CONNECT'
  return { requests, refused: closed || session.failure !== undefined }
}

/** An absolute target in origin form, as RFC 9112 3.2.2 has servers read it. */
export function withoutAuthority(target: string, method: string): string {
  const match = /^https?:\/\/[^/?]+(.*)$/i.exec(target)
  if (match === null) return target
  const rest = match[1] as string
  if (rest === '') return method === 'OPTIONS' ? '*' : '/'
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** What differs, in words; undefined: nothing. */
export function difference(ours: Reading, theirs: readonly ReadRequest[]): string | undefined {
  const count = Math.min(ours.requests.length, theirs.length)
  for (let index = 0; index < count; index++) {
    const mine = ours.requests[index] as ReadRequest
    const other = theirs[index] as ReadRequest
    for (const part of ['method', 'target', 'body'] as const) {
      if (mine[part] === other[part]) continue
      const values = `${JSON.stringify(mine[part])} and ${JSON.stringify(other[part])}`
      return `request ${index + 1}: ${part} is ${values}`
    }
    const problem = differingField(mine, other)
    if (problem !== undefined) return `request ${index + 1}: ${problem}`
  }
  if (!ours.refused && theirs.length > ours.requests.length) {
    const more = theirs
      .slice(ours.requests.length)
      .map(({ method, target }) => `${method} ${target}`)
    return `they read more: ${more.join(', ')}`
  }
  return undefined
}

/** Fields they have with other values than we; what a proxy left out or added is its own affair. */
function differingField(mine: ReadRequest, other: ReadRequest): string | undefined {
  const known = new Map<string, string[]>()
  for (const [name, value] of mine.fields) {
    known.set(name, [...(known.get(name) ?? []), value])
  }
  const seen = new Map<string, string[]>()
  for (const [name, value] of other.fields) {
    if (known.has(name) && !OWN_BUSINESS.has(name)) {
      seen.set(name, [...(seen.get(name) ?? []), value])
    }
  }
  for (const [name, values] of seen) {
    const joined = values.join(', ')
    if (joined !== (known.get(name) as string[]).join(', ')) {
      return `field ${name} is ${JSON.stringify(known.get(name))} and ${JSON.stringify(values)}`
    }
  }
  return undefined
}

/** Fields that a proxy writes itself. */
const OWN_BUSINESS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** The corpus, then changes of it by seed: pieces swapped, doubled, dropped, bytes changed. */
export function* inputs(seed: number, count: number): Generator<{ name: string; bytes: Buffer }> {
  for (const { name, bytes } of smugglingCorpus) yield { name, bytes: Buffer.from(bytes, 'latin1') }
  const random = new SeededRandom(seed)
  const pick = <Item>(list: readonly Item[]): Item => list[random.uint32() % list.length] as Item
  for (let index = 0; index < count; index++) {
    // Most changes of what is refused are refused as well: they tell little.
    let text = pick(random.uint32() % 4 === 0 ? smugglingCorpus : GOOD).bytes
    for (let change = random.uint32() % 3; change >= 0; change--) {
      const at = random.uint32() % (text.length + 1)
      const length = random.uint32() % 4
      const other = pick(smugglingCorpus).bytes
      const from = random.uint32() % other.length
      const piece = pick([pick(PIECES), pick(PIECES), other.slice(from, from + 20), ''])
      // Field lines go where field lines stand, half of the time.
      const line = piece.endsWith('\r\n') && random.uint32() % 2 === 0
      const place = line ? text.indexOf('\r\n', at % (text.length || 1)) + 2 : at
      text = text.slice(0, place) + piece + text.slice(place + (line ? 0 : length))
    }
    yield { name: `change ${index} of seed ${seed}`, bytes: Buffer.from(text, 'latin1') }
  }
}

const GOOD = smugglingCorpus.filter(({ status }) => status === undefined)

const PIECES: readonly string[] = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  '\0',
  '\x0b',
  ':',
  ',',
  ';',
  '0',
  '\xa0',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive, close\r\n',
  'Expect: 100-continue\r\n',
  'X: y\r\n',
  'hello',
  '5\r\nhello\r\n',
  '0\r\n\r\n',
  'GET /inner HTTP/1.1\r\nHost: a\r\n\r\n',
  ' HTTP/1.1',
  ' HTTP/1.0',
]
