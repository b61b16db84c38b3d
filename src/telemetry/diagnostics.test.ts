import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import test from 'node:test'
import { diagnosticsChannel } from './diagnostics.ts'

test('diagnosticsChannel reaches subscribers by name', () => {
  const seen: unknown[] = []
  const listen = (message: unknown, name: string | symbol): number => seen.push([name, message])
  const channel = diagnosticsChannel('server', 'request-end')
  assert.equal(channel.hasSubscribers, false)
  subscribe('heddle:server:request-end', listen)
  channel.publish({ status: 200 })
  unsubscribe('heddle:server:request-end', listen)
  channel.publish({ status: 500 })
  assert.deepEqual(seen, [['heddle:server:request-end', { status: 200 }]])
})

test('diagnosticsChannel refuses names that break the pattern', () => {
  assert.throws(() => diagnosticsChannel('Server', 'x'), /lower-case/)
  assert.throws(() => diagnosticsChannel('server', 'a:b'), /lower-case/)
})
