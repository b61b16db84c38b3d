/**
 * What every server of the bench answers. One place, so that nobody is asked for less.
 */
import type { Expected } from '../harness/check.ts'
import type { ClientMode } from '../harness/peer.ts'

export const HELLO = 'Hello, world!'

/** About 1 KB once serialised; every request serialises it again, as an application would. */
export const ORDER: Readonly<Record<string, unknown>> = Object.freeze({
  id: 'ord_7f3a9c2e',
  status: 'processing',
  customer: { id: 90210, name: 'Ada Lovelace', email: 'ada@example.com', premium: true },
  items: Array.from({ length: 9 }, (_, index) => ({
    sku: `SKU-${1000 + index}`,
    title: `Item number ${index} of the order`,
    quantity: index + 1,
    price: 9.95 + index,
  })),
  total: 412.5,
  currency: 'EUR',
  note: 'Leave it with the neighbour if nobody answers the door, please.',
})

export const ORDER_TEXT: string = JSON.stringify(ORDER)

/** 64 KB that are there, as a file in a cache would be. */
export const LARGE: Buffer = Buffer.alloc(65_536, '0123456789abcdef')

export const POST_BYTES = 1024

/** What the canned upstream answers. */
export const UPSTREAM_BODY: string = 'y'.repeat(1024)

export interface ServerRequest extends Expected {
  readonly bodyBytes: number
}

export const serverRequests: Readonly<Record<'hello' | 'json' | 'post' | 'large', ServerRequest>> =
  Object.freeze({
    hello: { method: 'GET', path: '/', bodyBytes: 0, answer: HELLO },
    json: { method: 'GET', path: '/json', bodyBytes: 0, answer: ORDER_TEXT },
    post: {
      method: 'POST',
      path: '/echo',
      headers: { 'content-type': 'application/octet-stream' },
      body: 'x'.repeat(POST_BYTES),
      bodyBytes: POST_BYTES,
      answer: 'x'.repeat(POST_BYTES),
    },
    large: { method: 'GET', path: '/large', bodyBytes: 0, answer: LARGE.toString('latin1') },
  })

/** Calls in flight. `parallel` has as many connections; `pipelined` has one. */
export const clientConcurrency: Readonly<Record<ClientMode, number>> = Object.freeze({
  serial: 1,
  parallel: 64,
  pipelined: 10,
})
