/** Host names among endpoints become their addresses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import type { Endpoint, Resolver, ResolverListener } from '../../src/core/policy.ts'
import { withNames } from '../../src/discovery/with-names.ts'
import { watching } from '../support/watching.ts'

function fixture() {
  const names = new Map<string, ResolverListener>()
  let source: ResolverListener | undefined
  const inner: Resolver = {
    watch(_target, listener) {
      source = listener
      return {
        [Symbol.dispose]() {
          source = undefined
        },
      }
    },
  }
  const dns: Resolver = {
    watch(target, listener) {
      names.set(target, listener)
      return { [Symbol.dispose]: () => void names.delete(target) }
    },
  }
  const watch = watching(withNames(inner, dns), 'users')
  const set = (...parts: (string | Endpoint)[]): void => {
    const endpoints = parts.map((part) =>
      typeof part === 'string' ? { address: ip(part, 80) } : part,
    )
    source?.onEndpoints(endpoints)
  }
  const answer = (name: string, ...addresses: string[]): void => {
    names.get(`${name}:80`)?.onEndpoints(addresses.map((one) => ({ address: ip(one, 80) })))
  }
  const fail = (name: string): void => names.get(`${name}:80`)?.onError(new Error(`no ${name}`))
  return { names, set, answer, fail, watch, failSource: () => source?.onError(new Error('down')) }
}

test('withNames makes each address of a name an endpoint, with the facts of the name', () => {
  const { set, answer, watch } = fixture()
  set('10.0.0.1', { address: ip('a.example', 80), weight: 3, priority: 1, locality: 'eu' })
  assert.deepEqual(watch.heard, ['10.0.0.1:80'])
  answer('a.example', '10.0.0.2', '10.0.0.3')
  assert.equal(watch.heard.at(-1), '10.0.0.1:80 10.0.0.2:80 10.0.0.3:80')
  assert.deepEqual(watch.endpoints[1], {
    address: ip('10.0.0.2', 80),
    hostname: 'a.example',
    weight: 3,
    priority: 1,
    locality: 'eu',
  })
  answer('a.example', '10.0.0.9')
  assert.equal(watch.heard.at(-1), '10.0.0.1:80 10.0.0.9:80')
})

test('withNames keeps the set before until new names are answered, well or not', () => {
  const { set, answer, fail, watch } = fixture()
  set('a.example')
  assert.deepEqual(watch.heard, [])
  answer('a.example', '10.0.0.1')
  set('b.example', 'c.example')
  answer('b.example', '10.0.0.2')
  assert.deepEqual(watch.heard, ['10.0.0.1:80'])
  fail('c.example')
  assert.deepEqual(watch.heard, ['10.0.0.1:80', '10.0.0.2:80'])
  answer('c.example', '10.0.0.3')
  assert.equal(watch.heard.at(-1), '10.0.0.2:80 10.0.0.3:80')
})

test('withNames tells the error of a name only while nothing is known', () => {
  const { set, answer, fail, failSource, watch } = fixture()
  set('a.example', 'b.example')
  fail('a.example')
  assert.deepEqual(watch.heard, ['error: no a.example'])
  answer('b.example', '10.0.0.2')
  fail('b.example')
  assert.deepEqual(watch.heard.slice(1), ['10.0.0.2:80'])
  failSource()
  assert.equal(watch.heard.at(-1), 'error: down')
  set()
  assert.equal(watch.heard.at(-1), '(nobody)')
})

test('withNames lets go of names that are gone, and of all at the end', () => {
  const { names, set, answer, watch } = fixture()
  set('a.example', 'b.example')
  answer('a.example', '10.0.0.1')
  answer('b.example', '10.0.0.2')
  set('b.example')
  assert.deepEqual([...names.keys()], ['b.example:80'])
  assert.equal(watch.heard.at(-1), '10.0.0.2:80')
  watch.stop()
  assert.equal(names.size, 0)
})
