import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeasedBuffer, ReadMemory } from './read-memory.ts'
import type { StreamHandle } from './stream-handle.ts'

/** Only what a group does with a member. */
class Member {
  memory: Uint8Array | undefined
  moves = -1
  useUserBuffer(memory: Uint8Array): void {
    this.memory = memory
    this.moves += 1
  }
}

function join(memory: ReadMemory) {
  const member = new Member()
  const handle = member as unknown as StreamHandle
  return { member, handle, group: memory.join(handle) }
}

test('ReadMemory shares one buffer among the members of a group, and no more', () => {
  const memory = new ReadMemory(256, 3)
  const members = [1, 2, 3, 4].map(() => join(memory))
  const buffers = members.map(({ member }) => member.memory)
  assert.ok(buffers[0] === buffers[1] && buffers[1] === buffers[2])
  assert.notEqual(buffers[3], buffers[0])
  assert.equal(buffers[0]?.length, 256)
})

test('ReadGroup.split leaves the leased buffer to nobody else, and takes no new members', () => {
  const memory = new ReadMemory(256, 8)
  const [one, two, three] = [join(memory), join(memory), join(memory)]
  const leased = one.group.bytes
  const own = one.group.split(one.handle)
  assert.notEqual(two.member.memory, leased)
  assert.equal(two.member.memory, three.member.memory)
  assert.equal(two.member.memory, two.group.bytes)
  assert.ok(own.bytes !== leased && own.bytes !== two.group.bytes)
  assert.deepEqual([one.member.moves, two.member.moves], [0, 1], 'the leaver is told by onread')
  const late = join(memory)
  assert.notEqual(late.member.memory, two.member.memory)
  // Alone in its group, the next lease moves nobody.
  const second = own.bytes
  assert.equal(own.split(one.handle), own)
  assert.notEqual(own.bytes, second)
  assert.equal(two.member.moves, 1)
})

test('LeasedBuffer comes back when it was delivered and every lease is released', () => {
  const memory = new ReadMemory(256, 8)
  const bytes = memory.take()
  const leased = new LeasedBuffer(memory, bytes)
  const [one, two] = [leased.lease(), leased.lease()]
  one.release()
  one.release()
  leased.delivered()
  assert.notEqual(memory.take(), bytes, 'the second lease still holds it')
  two.release()
  assert.equal(memory.take(), bytes)
})

test('ReadMemory takes the buffer of an emptied group back, and keeps a bounded number', () => {
  const memory = new ReadMemory(256, 1)
  const members = Array.from({ length: 20 }, () => join(memory))
  const freed = new Set(members.map(({ group }) => group.bytes))
  for (const { group, handle } of members) group.leave(handle)
  let reused = 0
  for (let count = 0; count < 20; count++) if (freed.has(memory.take())) reused += 1
  assert.equal(reused, 16)
})

test('ReadGroup.view gives the last view again for the same length only', () => {
  const { group } = join(new ReadMemory(256, 8))
  const view = group.view(10)
  assert.equal(view.length, 10)
  assert.equal(group.view(10), view)
  assert.notEqual(group.view(11), view)
  assert.equal(group.view(256).length, 256)
})
