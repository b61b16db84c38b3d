import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RedirectConfig } from '../config/schema/route.ts'
import { compileRedirect, compileRewrite } from './rewrite.ts'

test('compileRewrite replaces a prefix without losing or doubling slashes', () => {
  const cases: [string, string, string, string][] = [
    // match.prefix, rewrite.prefix, target, expected
    ['/api', '/v2', '/api/x?y=/api', '/v2/x?y=/api'],
    ['/api', '/v2', '/api', '/v2'],
    ['/api', '/', '/api/x', '/x'],
    ['/api', '/', '/api', '/'],
    ['/api', '/', '/api?q', '/?q'],
    ['/api/', '/', '/api/x', '/x'],
    ['/api/', '/v2', '/api/', '/v2/'],
    ['/api/', '/v2/', '/api/x', '/v2/x'],
    ['/', '/v2', '/x', '/v2/x'],
    ['/', '/v2', '/', '/v2/'],
  ]
  for (const [prefix, replacement, target, expected] of cases) {
    const rewrite = compileRewrite({ prefix }, { prefix: replacement })
    assert.equal(rewrite?.(target), expected, `${prefix} → ${replacement}: ${target}`)
  }
  assert.equal(compileRewrite({}, { prefix: '/v2' })?.('/x'), '/v2/x')
  assert.equal(compileRewrite({ path: '/a' }, { prefix: '/b/' })?.('/a?q'), '/b/?q')
})

test('compileRewrite fills a template from a pattern', () => {
  const match = { pattern: '/users/:id/files/*' }
  const rewrite = compileRewrite(match, { path: '/f/:id/of/*' })
  assert.equal(rewrite?.('/users/4%2F2/files/a/b?x=1'), '/f/4%2F2/of/a/b?x=1')
  assert.equal(rewrite?.('/users/42/files/'), '/f/42/of/')
  assert.equal(compileRewrite(match, { path: '/fixed' })?.('/users/1/files/a?b'), '/fixed?b')
})

test('compileRewrite has nothing to do without a rewrite', () => {
  assert.equal(compileRewrite({ prefix: '/a' }, undefined), undefined)
  assert.equal(compileRewrite({ prefix: '/a' }, {}), undefined)
})

test('compileRedirect builds an absolute location', () => {
  const view = { scheme: 'http', authority: 'a.example:8080', target: '/api/x?y=1' }
  const cases: [Partial<RedirectConfig>, string][] = [
    [{ scheme: 'https' }, 'https://a.example/api/x?y=1'],
    [{ scheme: 'https', port: 8443 }, 'https://a.example:8443/api/x?y=1'],
    [{ scheme: 'https', port: 443 }, 'https://a.example/api/x?y=1'],
    [{ host: 'b.example' }, 'http://b.example/api/x?y=1'],
    [{ path: '/new' }, 'http://a.example:8080/new?y=1'],
    [{ path: '/new', strip_query: true }, 'http://a.example:8080/new'],
    [{ prefix_rewrite: '/v2' }, 'http://a.example:8080/v2/x?y=1'],
    [{ port: 81 }, 'http://a.example:81/api/x?y=1'],
  ]
  for (const [config, expected] of cases) {
    const redirect = compileRedirect(
      { prefix: '/api' },
      { status: 308, strip_query: false, ...config },
    )
    assert.equal(redirect(view), expected)
  }
  const six = { scheme: 'http', authority: '[::1]:8080', target: '//evil.example/x' }
  const redirect = compileRedirect({}, { status: 308, strip_query: false, scheme: 'https' })
  assert.equal(redirect(six), 'https://[::1]//evil.example/x')
  assert.equal(redirect({ ...six, authority: '' }), '/evil.example/x')
  assert.equal(redirect({ ...six, authority: '[::1]' }), 'https://[::1]//evil.example/x')
})
