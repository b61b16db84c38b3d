/** The smuggling corpus against the server session: the verdict of the table, however it is cut. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { smugglingCorpus } from '../../../test/support/smuggling-corpus.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { HttpFields } from '../http/fields.ts'
import { replayServer } from './http1.fuzz.ts'
import { Http1ServerSession } from './server-session.ts'

const SPLITS = 200

interface Outcome {
  readonly requests: number
  readonly status: number | undefined
  readonly state: string
}

/** Feeds one case in chunks that end at `cuts`, to a server that answers complete requests. */
function outcomeOf(bytes: Uint8Array, cuts: readonly number[]): Outcome {
  const session = new Http1ServerSession({ allowHalfClose: true }, 0)
  let requests = 0
  const pump = (): void => {
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      if (event.type === 'request') requests++
      const { exchange } = event
      const complete = event.type === 'request' && !event.hasBody
      if (complete || event.type === 'end') {
        const fields = new HttpFields()
        const response = { status: 204, reason: undefined, fields, body: undefined } as const
        session.submit({ type: 'respond', exchange, ...response }, 0)
      } else if (event.type === 'request') {
        session.submit({ type: 'demand', exchange, wanted: true }, 0)
      }
    }
  }
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    session.receive(bytes.slice(from, cut), 0)
    pump()
    from = cut
  }
  const sent = Buffer.from(session.pollTransmit(1).take()).toString('latin1')
  const statuses = [...sent.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => Number(match[1]))
  const last = statuses.at(-1)
  return { requests, status: last === 204 ? undefined : last, state: session.state }
}

test('Http1ServerSession gives every case of the smuggling corpus its verdict', () => {
  for (const { name, bytes, status, requests } of smugglingCorpus) {
    const outcome = outcomeOf(Buffer.from(bytes, 'latin1'), [])
    assert.deepEqual(
      { requests: outcome.requests, status: outcome.status },
      { requests, status },
      name,
    )
    if (status !== undefined) assert.equal(outcome.state, 'closed', name)
  }
})

test('Http1ServerSession gives the same verdict byte by byte', () => {
  for (const { name, bytes: text, status, requests } of smugglingCorpus) {
    const bytes = Buffer.from(text, 'latin1')
    const outcome = outcomeOf(
      bytes,
      Array.from({ length: bytes.length - 1 }, (_, at) => at + 1),
    )
    assert.deepEqual(
      { requests: outcome.requests, status: outcome.status },
      { requests, status },
      name,
    )
  }
})

test(`Http1ServerSession gives the same verdict in ${SPLITS} seeded splits`, () => {
  const random = new SeededRandom(9112)
  for (const { name, bytes: text, status, requests } of smugglingCorpus) {
    const bytes = Buffer.from(text, 'latin1')
    for (let split = 0; split < SPLITS; split++) {
      const cuts = Array.from(
        { length: 1 + (random.uint32() % 5) },
        () => random.uint32() % bytes.length,
      ).sort((a, b) => a - b)
      const outcome = outcomeOf(bytes, cuts)
      assert.deepEqual(
        { requests: outcome.requests, status: outcome.status },
        { requests, status },
        `${name}, cut at ${cuts}`,
      )
    }
  }
})

test('Http1ServerSession says the same however the input is cut', () => {
  for (const { name, bytes: text } of smugglingCorpus) {
    const bytes = Buffer.from(text, 'latin1')
    for (const style of [0, 1, 2]) {
      const whole = replayServer(bytes, bytes.length, style)
      for (const step of [1, 2, 3, 7]) {
        assert.equal(replayServer(bytes, step, style), whole, `${name}, style ${style}`)
      }
    }
  }
})
