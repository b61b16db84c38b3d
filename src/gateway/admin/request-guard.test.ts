import assert from 'node:assert/strict'
import test from 'node:test'
import type { Connection } from '../../core/connection.ts'
import { HttpRequest } from '../../protocols/http/messages.ts'
import { refusal } from './request-guard.ts'

function check(
  authority: string,
  fields: Record<string, string> = {},
  method = 'GET',
  allowed: readonly string[] = [],
): string | undefined {
  return refusal(new HttpRequest({ method, target: '/drain', authority, fields }), allowed)
}

test('refusal answers loopback names and addresses, with and without port', () => {
  for (const host of [
    'localhost',
    'LOCALHOST:9901',
    'heddle.localhost:9901',
    'localhost.:9901',
    '127.0.0.1:9901',
    '127.1.2.3',
    '[::1]:9901',
    '10.0.0.7:9901',
    '',
  ]) {
    assert.equal(check(host), undefined, host)
  }
})

test('refusal names a host that could have been rebound', () => {
  for (const host of [
    'evil.example',
    'evil.example:9901',
    'localhost.evil.example',
    'notlocalhost',
    '127.0.0.1.evil.example',
    '[::1].evil.example',
    'user@localhost',
    'localhost:9901:1',
  ]) {
    assert.match(check(host) ?? '', /^host '.*' is not allowed.*admin\.allowed_hosts$/, host)
  }
})

test('refusal allows listed names and whole domains', () => {
  const allowed = ['admin.internal', '.svc.example']
  assert.equal(check('admin.internal:9901', {}, 'GET', allowed), undefined)
  assert.equal(check('Gateway.SVC.example', {}, 'GET', allowed), undefined)
  assert.notEqual(check('svc.example', {}, 'GET', allowed), undefined)
  assert.notEqual(check('evilsvc.example', {}, 'GET', allowed), undefined)
  assert.notEqual(check('x.admin.internal', {}, 'GET', allowed), undefined)
})

test('refusal does not ask for a host on a Unix socket', () => {
  const request = new HttpRequest({ authority: 'anything' })
  request.connection = { facts: { transport: 'unix' } } as Connection
  assert.equal(refusal(request, []), undefined)
})

test('refusal wants the origin of a change to be the page itself', () => {
  const host = 'localhost:9901'
  const post = (origin: string): string | undefined => check(host, { origin }, 'POST')
  assert.equal(check(host, {}, 'POST'), undefined)
  assert.equal(post('http://localhost:9901'), undefined)
  assert.equal(post('https://LOCALHOST:9901'), undefined)
  for (const origin of [
    'http://localhost:8080',
    'http://evil.example',
    'http://localhost:9901.evil.example',
    'null',
    '',
    'localhost:9901',
  ]) {
    assert.match(post(origin) ?? '', /^origin '.*' does not match host 'localhost:9901'/, origin)
  }
  assert.equal(check(host, { origin: 'http://evil.example' }, 'GET'), undefined)
})

test('refusal lets links through and nothing else of other sites', () => {
  const from = (site: string, mode: string, method = 'GET'): string | undefined =>
    check('localhost', { 'sec-fetch-site': site, 'sec-fetch-mode': mode }, method)
  assert.equal(from('same-origin', 'cors'), undefined)
  assert.equal(from('none', 'navigate'), undefined)
  assert.equal(from('cross-site', 'navigate'), undefined)
  assert.match(from('cross-site', 'no-cors') ?? '', /Sec-Fetch-Site: cross-site/)
  assert.match(from('same-site', 'cors') ?? '', /same-site/)
  assert.match(from('cross-site', 'navigate', 'POST') ?? '', /cross-site/)
})
