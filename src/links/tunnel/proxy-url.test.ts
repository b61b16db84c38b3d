import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isExcluded, parseProxyUrl, proxyFromEnvironment } from './proxy-url.ts'

test('parseProxyUrl reads scheme, host, port and credentials', () => {
  const cases: [string, string, string, number, string | undefined, string | undefined][] = [
    ['http://proxy.example:3128', 'http', 'proxy.example', 3128, undefined, undefined],
    ['proxy.example:3128', 'http', 'proxy.example', 3128, undefined, undefined],
    ['proxy.example', 'http', 'proxy.example', 1080, undefined, undefined],
    ['http://proxy.example:80', 'http', 'proxy.example', 80, undefined, undefined],
    ['https://proxy.example', 'https', 'proxy.example', 443, undefined, undefined],
    ['socks5://me:p%40ss@[::1]:9050/', 'socks5', '::1', 9050, 'me', 'p@ss'],
    ['socks5h://127.0.0.1', 'socks5', '127.0.0.1', 1080, undefined, undefined],
    ['socks4a://me@127.0.0.1:1', 'socks4', '127.0.0.1', 1, 'me', undefined],
    ['http://me:50%@127.0.0.1:1', 'http', '127.0.0.1', 1, 'me', '50%'],
  ]
  for (const [url, kind, host, port, username, password] of cases) {
    const target = parseProxyUrl(url)
    assert.deepEqual(target, {
      kind,
      address: { kind: 'ip', host, port },
      host,
      username,
      password,
    })
  }
})

test('parseProxyUrl refuses what it does not know, without showing credentials', () => {
  for (const url of ['ftp://me:secret@a.example', 'http://', 'http://me:secret@a b']) {
    assert.throws(
      () => parseProxyUrl(url),
      (error: Error & { code: string }) =>
        error.code === 'ERR_ADDRESS_INVALID' && !error.message.includes('secret'),
    )
  }
})

test('proxyFromEnvironment asks the variables as curl does', () => {
  const ask = (url: string, variables: Record<string, string>): string | undefined =>
    proxyFromEnvironment(new URL(url), (name) => variables[name])
  assert.equal(ask('http://a.example', {}), undefined)
  assert.equal(ask('http://a.example', { http_proxy: 'p', HTTP_PROXY: 'P' }), 'p')
  assert.equal(ask('http://a.example', { HTTP_PROXY: 'P' }), 'P')
  assert.equal(ask('http://a.example', { HTTP_PROXY: 'P', REQUEST_METHOD: 'GET' }), undefined)
  assert.equal(ask('http://a.example', { http_proxy: 'p', REQUEST_METHOD: 'GET' }), 'p')
  assert.equal(ask('https://a.example', { http_proxy: 'p' }), undefined)
  assert.equal(ask('https://a.example', { HTTPS_PROXY: 'P', REQUEST_METHOD: 'GET' }), 'P')
  assert.equal(ask('https://a.example', { ALL_PROXY: 'A' }), 'A')
  assert.equal(ask('https://a.example', { all_proxy: 'a', https_proxy: 'p' }), 'p')
  assert.equal(ask('https://a.example', { https_proxy: '', all_proxy: 'a' }), undefined)
  assert.equal(ask('http://a.example', { http_proxy: 'p', no_proxy: 'a.example' }), undefined)
  assert.equal(ask('http://a.example', { http_proxy: 'p', NO_PROXY: 'a.example' }), undefined)
  assert.equal(
    ask('http://a.example', { http_proxy: 'p', no_proxy: 'b', NO_PROXY: 'a.example' }),
    'p',
  )
})

test('isExcluded matches names, addresses, networks and ports', () => {
  const yes: [string, string][] = [
    ['http://a.example', '*'],
    ['http://a.example', 'b, a.example'],
    ['http://A.example.', 'a.EXAMPLE'],
    ['http://x.a.example', 'a.example'],
    ['http://x.a.example', '.a.example'],
    ['http://a.example', '.a.example'],
    ['http://x.a.example', '*.a.example'],
    ['http://a.example:8080', 'a.example:8080'],
    ['http://a.example', 'a.example:80'],
    ['https://a.example', 'a.example:443'],
    ['http://10.1.2.3', '10.0.0.0/8'],
    ['http://10.1.2.3', '10.1.2.3'],
    ['http://10.1.2.3', '10.1.2.2/31'],
    ['http://[2001:db8::1]', '2001:db8::/32'],
    ['http://[::1]', '[::1]'],
    ['http://[::1]:81', '[::1]:81'],
    ['http://a.example', 'x y a.example'],
  ]
  const no: [string, string][] = [
    ['http://a.example', ''],
    ['http://a.example', ' , '],
    ['http://ba.example', 'a.example'],
    ['http://a.example', 'x.a.example'],
    ['http://a.example:8080', 'a.example:80'],
    ['http://10.1.2.3', '11.0.0.0/8'],
    ['http://10.1.2.3', '10.1.2.4/31'],
    ['http://10.1.2.3', '10.0.0.0/99'],
    ['http://10.1.2.3', '2.3'],
    ['http://[2001:db9::1]', '2001:db8::/32'],
    ['http://[::1]', '0.0.0.1'],
  ]
  for (const [url, list] of yes) assert.ok(isExcluded(new URL(url), list), `${url} in ${list}`)
  for (const [url, list] of no) assert.ok(!isExcluded(new URL(url), list), `${url} not in ${list}`)
})
