import assert from 'node:assert/strict'
import test from 'node:test'
import { nodeProcess } from './node-process.ts'

test('nodeProcess sums rise', () => {
  const before = nodeProcess.cpuSeconds()
  let sum = 0
  for (let index = 0; index < 3e6; index++) sum += Math.sqrt(index)
  assert.ok(sum > 0)
  const after = nodeProcess.cpuSeconds()
  assert.ok(after.user + after.system > before.user + before.system)
  const { residentBytes, heapUsedBytes, heapTotalBytes } = nodeProcess.memory()
  assert.ok(residentBytes > heapUsedBytes && heapTotalBytes >= heapUsedBytes)
  const { activeMs, idleMs } = nodeProcess.eventLoop()
  assert.ok(activeMs >= 0 && idleMs >= 0)
})
