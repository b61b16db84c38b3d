import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GrpcStatus } from '../../protocols/grpc/status.ts'
import { GrpcMethods } from './grpc-methods.ts'

test('GrpcMethods names what an upstream has shown to have, and maxMethods of it', () => {
  const methods = new GrpcMethods({ maxMethods: 2 })
  const name = (path: string, status: number = GrpcStatus.OK, answered = true): string =>
    methods.nameOf(path, status, answered)
  assert.equal(name('/a.B/C', GrpcStatus.UNIMPLEMENTED), '_OTHER')
  assert.equal(name('/a.B/C', GrpcStatus.UNAVAILABLE, false), '_OTHER')
  assert.equal(name('/a.B/C', GrpcStatus.NOT_FOUND), 'a.B/C')
  assert.equal(name('/a.B/C', GrpcStatus.UNAVAILABLE, false), 'a.B/C')
  assert.equal(name('/a.B/D'), 'a.B/D')
  assert.equal(name('/a.B/E'), '_OTHER')
  for (const path of ['/a.B/C/D', '/a.B', '*', '/a-b/C', '/a.B/<x>'])
    assert.equal(name(path), '_OTHER')
})
