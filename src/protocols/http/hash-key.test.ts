import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../core/context.ts'
import { hashByCookie, hashByHeader, hashByPath, hashByQueryParameter } from './hash-key.ts'
import { HttpRequest } from './messages.ts'

const context = new Call()
const request = new HttpRequest({
  target: '/a/b?x=1&y&user=ada%20l&user=no',
  fields: [
    ['X-User', 'ada'],
    ['Cookie', 'a=1; session = s1 ;session=s2; =none; bare'],
  ],
})

test('HTTP hash keys are what the request has, or nothing', () => {
  assert.equal(hashByHeader('X-USER')(request, context), 'ada')
  assert.equal(hashByHeader('x-other')(request, context), undefined)
  assert.equal(hashByCookie('session')(request, context), 's1')
  assert.equal(hashByCookie('bare')(request, context), undefined)
  assert.equal(hashByCookie('a')(new HttpRequest(), context), undefined)
  assert.equal(hashByQueryParameter('user')(request, context), 'ada%20l')
  assert.equal(hashByQueryParameter('y')(request, context), '')
  assert.equal(hashByQueryParameter('z')(request, context), undefined)
  assert.equal(hashByQueryParameter('a')(new HttpRequest({ target: '/a' }), context), undefined)
  assert.equal(hashByPath()(request, context), '/a/b')
})
