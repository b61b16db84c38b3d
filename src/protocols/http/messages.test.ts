import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpRequest, HttpResponse } from './messages.ts'

test('HttpRequest gives path and URL, and never takes a path for a host', () => {
  const request = new HttpRequest({ target: '/a?b=c', authority: 'x.example:81', scheme: 'https' })
  assert.equal(request.path, '/a')
  assert.equal(request.url.href, 'https://x.example:81/a?b=c')
  const doubled = new HttpRequest({ target: '//evil.example/x', authority: 'x.example' })
  assert.equal(doubled.url.host, 'x.example')
  assert.equal(doubled.url.pathname, '//evil.example/x')
  assert.equal(
    new HttpRequest({ method: 'OPTIONS', target: '*', authority: 'a' }).url.pathname,
    '/',
  )
  assert.equal(new HttpRequest().url.host, 'localhost')
})

test('HttpResponse makes text and JSON, and keeps a type it was given', async () => {
  const text = HttpResponse.text('hi')
  assert.equal(text.fields.get('content-type'), 'text/plain; charset=utf-8')
  assert.equal(text.ok, true)
  const json = HttpResponse.json(
    { a: 1 },
    { status: 404, fields: { 'content-type': 'application/x' } },
  )
  assert.equal(json.status, 404)
  assert.equal(json.ok, false)
  assert.equal(json.fields.get('content-type'), 'application/x')
  assert.deepEqual(await json.body.json(), { a: 1 })
  // Each has fields of its own: one is not changed by the other.
  text.fields.set('x', 'y')
  assert.equal(HttpResponse.text('hi').fields.has('x'), false)
})
