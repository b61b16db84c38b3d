import assert from 'node:assert/strict'
import { test } from 'node:test'
import v8 from 'node:v8'
import { Call } from '../core/context.ts'
import type { MaybePromise, Service } from '../core/service.ts'
import { PendingReply, type Settlement, settle, settleReply } from './settle.ts'

const context = new Call()

/** Adds its name to what passes, and to the log. */
function mark(name: string, log: string[]): Settlement<string> {
  return {
    onReply(reply) {
      log.push(`${name}+`)
      return `${reply}${name}`
    },
    onError(error) {
      log.push(`${name}-`)
      throw new Error(`${(error as Error).message}${name}`)
    },
  }
}

function around(
  inner: Service<string, string>,
  ...settlements: Settlement<string>[]
): Service<string, string> {
  return settlements.reduce<Service<string, string>>(
    (next, settlement) => (request, call) => settle(next, request, call, settlement),
    inner,
  )
}

test('settle runs settlements from the inside out for values, errors, promises and rejections', async () => {
  const services: [string, Service<string, string>][] = [
    ['value', (request) => request],
    ['promise', async (request) => request],
    [
      'throw',
      (request) => {
        throw new Error(request)
      },
    ],
    ['rejection', async (request) => Promise.reject(new Error(request))],
  ]
  for (const [name, service] of services) {
    const log: string[] = []
    const call = around(service, mark('a', log), mark('b', log), mark('c', log))
    const failing = name === 'throw' || name === 'rejection'
    const outcome = await new Promise<string>((resolve) => {
      resolve(call('r', context))
    }).catch((error: Error) => error.message)
    assert.equal(outcome, 'rabc', name)
    assert.deepEqual(log, failing ? ['a-', 'b-', 'c-'] : ['a+', 'b+', 'c+'], name)
  }
})

test('settle gives a value without a promise', () => {
  const log: string[] = []
  assert.equal(around((request) => request, mark('a', log))('r', context), 'ra')
})

test('settle makes one promise for any number of middlewares', () => {
  const log: string[] = []
  const pending = new Promise<string>(() => {})
  const call = around(() => pending, mark('a', log), mark('b', log), mark('c', log), mark('d', log))
  let promises = 0
  const stop = v8.promiseHooks.onInit(() => void promises++)
  call('r', context)
  stop()
  assert.equal(promises, 1)
})

test('settle lets a settlement recover from an error, and fail a reply', async () => {
  const recover: Settlement<string> = { onReply: (reply) => reply, onError: () => 'recovered' }
  const refuse: Settlement<string> = {
    onReply(): MaybePromise<string> {
      throw new Error('refused')
    },
    onError(error) {
      throw error
    },
  }
  const log: string[] = []
  const failing = async (): Promise<string> => Promise.reject(new Error('x'))
  assert.equal(await around(failing, recover, mark('a', log))('r', context), 'recovereda')
  const refused = around(async () => 'x', refuse, recover, mark('b', log))('r', context)
  assert.equal(await refused, 'recoveredb')
})

test('settle waits for a settlement that gives a promise before it runs those outside', async () => {
  const log: string[] = []
  let again: (reply: string) => void = () => {}
  const retry: Settlement<string> = {
    onReply: () => new Promise((resolve) => void (again = resolve)),
    onError: () => Promise.reject(new Error('again')),
  }
  const call = around(async () => 'r', mark('a', log), retry, mark('b', log))('r', context)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(log, ['a+'])
  again('second ')
  assert.equal(await call, 'second b')
  const failing = around(async () => Promise.reject(new Error('x')), retry, mark('c', log))
  await assert.rejects(async () => failing('r', context), /againc/)
})

test('settle is right when a middleware puts another promise between', async () => {
  const log: string[] = []
  const inner = around(async (request) => request, mark('a', log))
  const awaits: Service<string, string> = async (request, call) => `${await inner(request, call)}!`
  assert.equal(await around(awaits, mark('b', log))('r', context), 'ra!b')
})

test('settleReply is right when it comes after the promise was settled', async () => {
  const log: string[] = []
  const reply = around(async (request) => request, mark('a', log))('r', context)
  await reply
  assert.equal(await settleReply(reply, mark('b', log)), 'rab')
})

test('PendingReply runs the settlements around it, inside out, before its promise is settled', async () => {
  const pending = new PendingReply<string>()
  const seen: string[] = []
  const looking = (name: string): Settlement<string> => ({
    onReply(reply) {
      seen.push(`${name} ${reply}`)
      return `${reply} ${name}`
    },
    onError(error) {
      seen.push(`${name} failed`)
      throw error
    },
  })
  const reply = settleReply(settleReply(pending.promise, looking('inner')), looking('outer'))
  assert.equal(reply, pending.promise)
  pending.resolve('reply')
  assert.deepEqual(seen, ['inner reply', 'outer reply inner'])
  assert.equal(await reply, 'reply inner outer')
  pending.resolve('again')
  pending.reject(new Error('too late'))
  assert.equal(await reply, 'reply inner outer')
  assert.equal(seen.length, 2)
})

test('PendingReply gives what settlements make of an error, and late ones their own promise', async () => {
  const reason = new Error('down')
  const failing = new PendingReply<string>()
  const rescued = settleReply(failing.promise, {
    onReply: (reply) => reply,
    onError: () => Promise.resolve('rescued'),
  })
  failing.reject(reason)
  assert.equal(await rescued, 'rescued')
  const plain = new PendingReply<string>()
  plain.reject(reason)
  const late = settleReply(plain.promise, {
    onReply: (reply) => reply,
    onError: (error) => {
      throw new Error('late', { cause: error })
    },
  })
  assert.notEqual(late, plain.promise)
  await assert.rejects(Promise.resolve(late), (error: Error) => error.cause === reason)
  const throwing = new PendingReply<string>()
  const thrown = settleReply(throwing.promise, {
    onReply: () => {
      throw reason
    },
    onError: () => 'not asked',
  })
  throwing.resolve('reply')
  await assert.rejects(Promise.resolve(thrown), (error) => error === reason)
})
