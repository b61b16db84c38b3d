import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFields } from '../../protocols/http/fields.ts'
import type { RouteMatchConfig } from '../config/schema/route.ts'
import { addressSet, hostOf, isInSet, type RouteQuery, Router } from './router.ts'

interface Ask {
  method?: string
  authority?: string
  fields?: Record<string, string>
  source?: string
}

function routerOf(
  matches: Record<string, RouteMatchConfig>,
): (path: string, ask?: Ask) => string | undefined {
  const router = new Router(Object.entries(matches).map(([route, match]) => ({ route, match })))
  return (path, ask = {}) => {
    const query: RouteQuery = {
      path,
      method: ask.method ?? 'GET',
      authority: ask.authority ?? 'a.example',
      fields: new HttpFields(ask.fields),
      source: ask.source,
    }
    return router.match(query)
  }
}

test('Router prefers exact paths, then longer prefixes, whatever their order', () => {
  const route = routerOf({
    all: { prefix: '/' },
    api: { prefix: '/api' },
    users: { prefix: '/api/users' },
    exact: { path: '/api/users' },
  })
  assert.equal(route('/'), 'all')
  assert.equal(route('/ap'), 'all')
  assert.equal(route('/apix'), 'all')
  assert.equal(route('/api'), 'api')
  assert.equal(route('/api/'), 'api')
  assert.equal(route('/api/users'), 'exact')
  assert.equal(route('/api/users/'), 'users')
  assert.equal(route('/api/users/1'), 'users')
  assert.equal(route('/api/usersx'), 'api')
})

test('Router takes a prefix with a slash at the end for what is below', () => {
  const route = routerOf({ below: { prefix: '/api/' } })
  assert.equal(route('/api'), undefined)
  assert.equal(route('/api/'), 'below')
  assert.equal(route('/api/x'), 'below')
  const both = routerOf({ here: { prefix: '/api' }, below: { prefix: '/api/' } })
  assert.equal(both('/api'), 'here')
  assert.equal(both('/api/x'), 'below')
})

test('Router matches patterns by segment, literals before names', () => {
  const route = routerOf({
    all: {},
    user: { pattern: '/users/:id' },
    me: { pattern: '/users/me' },
    posts: { pattern: '/users/:id/posts/:post' },
    rest: { pattern: '/users/:id/files/*' },
    meFiles: { prefix: '/users/me/files' },
  })
  assert.equal(route('/users/42'), 'user')
  assert.equal(route('/users/me'), 'me')
  assert.equal(route('/users/'), 'all')
  assert.equal(route('/users/42/'), 'all')
  assert.equal(route('/users/42/posts/7'), 'posts')
  assert.equal(route('/users/me/posts/7'), 'posts') // back from the literal branch
  assert.equal(route('/users/42/files'), 'all')
  assert.equal(route('/users/42/files/'), 'rest')
  assert.equal(route('/users/42/files/a/b'), 'rest')
  assert.equal(route('/users/me/files/a'), 'meFiles')
})

test('Router takes no path condition for everything, but CONNECT only where it is named', () => {
  const route = routerOf({ any: {}, slash: { prefix: '/' } })
  assert.equal(route(''), 'any')
  assert.equal(route('/x'), 'slash')
  assert.equal(route('', { method: 'CONNECT' }), undefined)
  const tunnels = routerOf({ any: {}, tunnel: { methods: ['CONNECT'] } })
  assert.equal(tunnels('', { method: 'CONNECT' }), 'tunnel')
})

test('Router prefers exact hosts, then the longest wildcard, then any, and falls through', () => {
  const route = routerOf({
    any: { hosts: ['*'] },
    wide: { hosts: ['*.example'] },
    narrow: { hosts: ['*.b.example'], prefix: '/n' },
    exact: { hosts: ['a.b.example', 'Other.Example'], prefix: '/e' },
  })
  assert.equal(route('/e', { authority: 'a.b.example:8080' }), 'exact')
  assert.equal(route('/e', { authority: 'A.B.EXAMPLE' }), 'exact')
  assert.equal(route('/e', { authority: 'other.example.' }), 'exact')
  assert.equal(route('/n', { authority: 'a.b.example' }), 'narrow')
  assert.equal(route('/n', { authority: 'b.example' }), 'wide')
  assert.equal(route('/x', { authority: 'a.b.example' }), 'wide')
  assert.equal(route('/x', { authority: 'example' }), 'any')
  assert.equal(route('/x', { authority: '.example' }), 'any')
  assert.equal(route('/x', { authority: '' }), 'any')
  assert.equal(route('/x', { authority: '[::1]:80' }), 'any')
})

test('Router prefers more conditions on the same path, then the order of the file', () => {
  const route = routerOf({
    plain: { prefix: '/p' },
    plainToo: { prefix: '/p' },
    beta: { prefix: '/p', headers: [{ name: 'X-Beta', exact: '1' }] },
    betaUser: {
      prefix: '/p',
      headers: [
        { name: 'x-beta', exact: '1' },
        { name: 'x-user', present: true },
      ],
    },
    post: { prefix: '/p', methods: ['POST', 'PUT'] },
  })
  assert.equal(route('/p'), 'plain')
  assert.equal(route('/p', { fields: { 'x-beta': '1' } }), 'beta')
  assert.equal(route('/p', { fields: { 'x-beta': '2' } }), 'plain')
  assert.equal(route('/p', { fields: { 'x-beta': '1', 'x-user': '' } }), 'betaUser')
  assert.equal(route('/p', { method: 'PUT', fields: { 'x-beta': '1' } }), 'post')
})

test('Router tests headers by prefix, content, presence and absence', () => {
  const route = routerOf({
    bearer: { headers: [{ name: 'authorization', prefix: 'Bearer ' }] },
    json: { headers: [{ name: 'accept', contains: 'json' }] },
    absent: { headers: [{ name: 'cookie', present: false }] },
  })
  assert.equal(route('/', { fields: { authorization: 'Bearer x' } }), 'bearer')
  assert.equal(
    route('/', { fields: { accept: 'text/html, application/json', cookie: 'a' } }),
    'json',
  )
  assert.equal(route('/', { fields: {} }), 'absent')
  assert.equal(route('/', { fields: { cookie: 'a' } }), undefined)
})

test('Router goes on to less specific paths when conditions do not hold', () => {
  const route = routerOf({
    root: { prefix: '/' },
    post: { path: '/a/b', methods: ['POST'] },
    inside: { prefix: '/a', methods: ['PUT'] },
  })
  assert.equal(route('/a/b', { method: 'POST' }), 'post')
  assert.equal(route('/a/b', { method: 'PUT' }), 'inside')
  assert.equal(route('/a/b', { method: 'GET' }), 'root')
})

test('Router matches source addresses, IPv4 in IPv6 and zones too', () => {
  const route = routerOf({ office: { source: ['10.0.0.0/8', 'fe80::/10', '::1'] }, all: {} })
  assert.equal(route('/', { source: '10.1.2.3' }), 'office')
  assert.equal(route('/', { source: '::ffff:10.1.2.3' }), 'office')
  assert.equal(route('/', { source: 'fe80::1%eth0' }), 'office')
  assert.equal(route('/', { source: '::1' }), 'office')
  assert.equal(route('/', { source: '11.0.0.1' }), 'all')
  assert.equal(route('/'), 'all')
})

test('Router agrees with a slow reference on random tables and paths', () => {
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  const words = ['a', 'b', 'c', ':x', 'aa']
  for (let round = 0; round < 300; round++) {
    const table: { match: RouteMatchConfig; route: number }[] = []
    for (let index = 0; index < 6; index++) {
      const segments = Array.from({ length: random(4) }, () => words[random(words.length)])
      const path = `/${segments.join('/')}`
      const kind = random(3)
      const literal = path.replaceAll(':x', 'a')
      if (kind === 0) table.push({ match: { path: literal }, route: index })
      else if (kind === 1) table.push({ match: { prefix: literal }, route: index })
      else
        table.push({
          match: { pattern: random(2) ? path : `${path}/*`.replace('//', '/') },
          route: index,
        })
    }
    const router = new Router(table)
    for (let count = 0; count < 20; count++) {
      const segments = Array.from({ length: random(5) }, () => ['a', 'b', 'aa', ''][random(4)])
      const query = {
        path: `/${segments.join('/')}`,
        method: 'GET',
        authority: '',
        fields: new HttpFields(),
        source: undefined,
      }
      assert.equal(
        router.match(query),
        reference(table, query.path),
        `${JSON.stringify(table)} ${query.path}`,
      )
    }
  }
})

/** Scores every route; the highest score by segments wins. */
function reference(
  table: readonly { match: RouteMatchConfig; route: number }[],
  path: string,
): number | undefined {
  let best: { score: string; route: number } | undefined
  for (const { match, route } of table) {
    const score = scoreOf(match, path)
    if (score !== undefined && (best === undefined || score > best.score)) best = { score, route }
  }
  return best?.route
}

/** Compared as text: 3 literal, 2 name, then what ends the match: 1 pattern end, 0… less. */
function scoreOf(match: RouteMatchConfig, path: string): string | undefined {
  if (match.path !== undefined) return match.path === path ? '9' : undefined
  const wanted = (match.prefix ?? match.pattern ?? '').split('/').slice(1)
  const given = path.split('/').slice(1)
  let score = ''
  for (const [index, segment] of wanted.entries()) {
    const last = index === wanted.length - 1
    if (last && segment === '*') return index < given.length ? `${score}1` : undefined
    if (last && segment === '' && match.prefix !== undefined) {
      return index < given.length ? `${score}1` : undefined
    }
    if (index >= given.length) return undefined
    if (match.pattern !== undefined && segment.startsWith(':')) {
      if (given[index] === '') return undefined
      score += '2'
    } else if (segment === given[index]) score += '3'
    else return undefined
  }
  if (match.pattern !== undefined) return wanted.length === given.length ? `${score}1` : undefined
  return `${score}0`
}

test('hostOf strips the port and the final dot', () => {
  const cases: [string, string][] = [
    ['A.example:80', 'a.example'],
    ['a.example.', 'a.example'],
    ['a.example.:80', 'a.example'],
    ['[::1]:8080', '[::1]'],
    ['[::1]', '[::1]'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.1:80', '10.0.0.1'],
    ['', ''],
    ['a:', 'a'],
  ]
  for (const [authority, expected] of cases) assert.equal(hostOf(authority), expected, authority)
})

test('addressSet holds single addresses and ranges', () => {
  const set = addressSet(['192.168.1.7', '2001:db8::/32'])
  assert.ok(isInSet(set, '192.168.1.7'))
  assert.ok(!isInSet(set, '192.168.1.8'))
  assert.ok(isInSet(set, '2001:db8:1::2'))
  assert.ok(!isInSet(set, undefined))
})
