/**
 * A body that can be sent once does not go with a call that is said to be repeatable: the types say
 * so where they can, the client where they cannot.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Source } from '../../core/flow.ts'
import { Body } from '../../protocols/http/body.ts'
import { type HttpClient, httpClient } from './http-client.ts'

/** Compiled, never called: each line that must not compile is marked. */
export function types(client: HttpClient, stream: Source<Uint8Array>, unknown: Body): void {
  const target = '/'
  void client.post(target, 'text', { idempotent: true })
  void client.post(target, new Uint8Array(1), { idempotent: true })
  void client.post(target, () => stream, { idempotent: true })
  void client.post(target, Body.buffered(stream, 1_024), { idempotent: true })
  void client.post(target, Body.from('text'), { idempotent: true })
  void client.post(target, stream)
  void client.post(target, stream, { timeoutMs: 5, idempotent: false })
  void client.post(target, unknown, { timeoutMs: 5 })
  // @ts-expect-error a stream is read once
  void client.post(target, stream, { idempotent: true })
  // @ts-expect-error so is a body of a stream
  void client.post(target, Body.from(stream), { idempotent: true })
  // @ts-expect-error and one of which nothing is known
  void client.post(target, unknown, { idempotent: true })
  void client.request({ method: 'PUT', body: 'text', idempotent: true })
  void client.request({ method: 'PUT', body: () => stream, idempotent: true })
  void client.request({ method: 'PUT', body: stream })
  // @ts-expect-error a stream is read once
  void client.request({ method: 'PUT', body: stream, idempotent: true })
}

test('a call that is said to be idempotent needs a body that can be sent again', async () => {
  await using client = httpClient('http://127.0.0.1:1')
  const stream = Body.from({
    open: () => ({ resume() {}, cancel() {} }),
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
  } satisfies Source<Uint8Array>)
  const untyped = { method: 'PUT', body: stream, idempotent: true } as object
  assert.throws(() => client.request(untyped), {
    code: 'ERR_ARGUMENT',
    message: /idempotent: true, but the body can be sent only once/,
  })
})
