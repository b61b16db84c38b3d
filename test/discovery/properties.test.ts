/** What holds whatever happens: sets and errors in any order, prefixes and slices of any kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatAddress, ip } from '../../src/core/address.ts'
import type { Endpoint, ResolverListener } from '../../src/core/policy.ts'
import { readEndpointSlice, selectEndpoints } from '../../src/discovery/endpoint-slice.ts'
import { endOfPrefix } from '../../src/discovery/etcd.ts'
import { SharedResolver } from '../../src/discovery/shared-resolver.ts'

const endpoints = (ports: readonly number[]): Endpoint[] =>
  ports.map((port) => ({ address: ip('10.0.0.1', port) }))

type Step = readonly number[] | 'error' | 'join' | 'leave'

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
  fc.constantFrom('error' as const, 'join' as const, 'leave' as const),
)

test('whoever watches knows the last good set, whenever they came and whatever failed', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let sink: ResolverListener | undefined
      let open = 0
      const resolver = new SharedResolver(
        (_target, given) => {
          sink = given
          open++
          return {
            [Symbol.dispose]() {
              sink = undefined
              open--
            },
          }
        },
        { maxEndpoints: 3 },
      )
      const watchers: { knows: string; watch: Disposable }[] = []
      let expected = '?'
      const join = (): void => {
        const watcher = { knows: '?', watch: undefined as unknown as Disposable }
        watchers.push(watcher)
        watcher.watch = resolver.watch('users', {
          onEndpoints: (set) => {
            watcher.knows = keyOf(set)
          },
          onError() {},
        })
      }
      for (const one of steps) {
        if (one === 'join') join()
        else if (one === 'leave') watchers.shift()?.watch[Symbol.dispose]()
        else if (one === 'error') sink?.onError(new Error('down'))
        else {
          sink?.onEndpoints(endpoints(one))
          // Four are over the limit: refused whole.
          if (sink !== undefined && one.length <= 3) expected = keyOf(endpoints(one))
        }
        // With the last watcher everything is forgotten.
        if (watchers.length === 0) expected = '?'
        assert.equal(open, watchers.length === 0 ? 0 : 1)
        for (const { knows } of watchers) assert.equal(knows, expected)
      }
    }),
  )
})

function keyOf(set: readonly Endpoint[]): string {
  return set
    .map(({ address }) => formatAddress(address))
    .sort()
    .join(' ')
}

test('a key begins with a prefix exactly when it is from the prefix up to its end', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 4, min: 0xfd })
  fc.assert(
    fc.property(bytes, bytes, (prefix, key) => {
      const end = endOfPrefix(prefix)
      // A single zero byte means no end at all.
      const endless = end.length === 1 && end[0] === 0
      const inside = Buffer.compare(key, prefix) >= 0 && (endless || Buffer.compare(key, end) < 0)
      const begins = Buffer.from(key.subarray(0, prefix.length)).equals(Buffer.from(prefix))
      assert.equal(inside, begins)
    }),
  )
})

const condition = fc.option(fc.boolean(), { nil: null })
const entry = fc.record({
  addresses: fc.constantFrom(['10.0.0.1'], ['10.0.0.2'], ['10.0.0.3']),
  conditions: fc.record({ ready: condition, serving: condition, terminating: condition }),
})

test('no endpoint is chosen twice, and none that is not ready beside one that is', () => {
  fc.assert(
    fc.property(fc.array(fc.array(entry, { maxLength: 3 }), { maxLength: 3 }), (groups) => {
      const slices = groups.map((entries, at) =>
        readEndpointSlice({
          metadata: { name: `s${at}` },
          addressType: 'IPv4',
          ports: [{ name: 'http', port: 80 }],
          endpoints: entries,
        }),
      )
      const chosen = selectEndpoints(slices, undefined, undefined).map(({ address }) =>
        formatAddress(address),
      )
      assert.equal(new Set(chosen).size, chosen.length)
      const all = groups.flat()
      const ready = new Set(
        all
          .filter(({ conditions }) => conditions.ready !== false)
          .map(({ addresses }) => `${addresses[0]}:80`),
      )
      if (ready.size > 0) assert.deepEqual(new Set(chosen), ready)
      else
        assert.ok(chosen.every((one) => all.some(({ addresses }) => `${addresses[0]}:80` === one)))
    }),
  )
})
