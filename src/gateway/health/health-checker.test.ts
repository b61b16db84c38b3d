import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../core/context.ts'
import { HttpResponse } from '../../protocols/http/messages.ts'
import { grpcHealth } from '../../servers/grpc/health/grpc-health.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type EndpointHealthState, HealthChecker, type HealthProbe } from './health-checker.ts'
import { httpProbe } from './probes.ts'

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function watch(probe: HealthProbe, clock: ManualClock) {
  const changes: EndpointHealthState[] = []
  const checker = new HealthChecker({
    clock,
    random: () => 0,
    probe,
    intervalMs: 1_000,
    timeoutMs: 100,
    healthyThreshold: 2,
    unhealthyThreshold: 3,
    onChange: (health) => changes.push(health),
  })
  return { checker, changes }
}

test('HealthChecker takes the first result at once, later ones after a row of them', async () => {
  const clock = new ManualClock()
  let well = true
  let asked = 0
  const probe: HealthProbe = () => {
    asked++
    return well ? Promise.resolve() : Promise.reject(new Error('ill'))
  }
  const { checker, changes } = watch(probe, clock)
  const round = async (): Promise<void> => {
    clock.advance(1_000)
    await settle()
  }
  clock.advance(0)
  await settle()
  assert.deepEqual(changes, ['healthy'])
  well = false
  await round()
  await round()
  assert.equal(checker.health, 'healthy')
  await round()
  assert.deepEqual(changes, ['healthy', 'unhealthy'])
  assert.equal(checker.reason?.message, 'ill')
  well = true
  await round()
  assert.equal(checker.health, 'unhealthy')
  await round()
  assert.equal(checker.health, 'healthy')
  assert.equal(asked, 6)
  checker.close()
  assert.equal(clock.pendingTimers, 0)
})

test('HealthChecker counts a row anew after a success in between', async () => {
  const clock = new ManualClock()
  const results = [true, false, false, true, false, false]
  const probe: HealthProbe = () =>
    results.shift() ? Promise.resolve() : Promise.reject(new Error('ill'))
  const { checker } = watch(probe, clock)
  for (let index = 0; index < 6; index++) {
    clock.advance(index === 0 ? 0 : 1_000)
    await settle()
  }
  assert.equal(checker.health, 'healthy')
  checker.close()
})

test('HealthChecker ends a check that takes too long and cancels its call', async () => {
  const clock = new ManualClock()
  let call: Call | undefined
  const { checker, changes } = watch((context) => {
    call = context
    return new Promise(() => {})
  }, clock)
  clock.advance(0)
  assert.ok(call)
  clock.advance(99)
  assert.deepEqual(changes, [])
  clock.advance(1)
  assert.deepEqual(changes, ['unhealthy'])
  assert.equal(call.cancelled, true)
  checker.close()
  assert.equal(clock.pendingTimers, 0)
})

test('HealthChecker close cancels a check under way and says nothing more', async () => {
  const clock = new ManualClock()
  const gate = Promise.withResolvers<void>()
  const { checker, changes } = watch(() => gate.promise, clock)
  clock.advance(0)
  checker.close()
  gate.resolve()
  await settle()
  assert.deepEqual(changes, [])
  assert.equal(clock.pendingTimers, 0)
})

test('httpProbe takes single statuses and ranges, at their edges', async () => {
  const table = [
    [200, ['200-299'], true],
    [299, ['200-299'], true],
    [300, ['200-299'], false],
    [404, [404], true],
    [403, [404, '200-204'], false],
  ] as const
  for (const [status, expectedStatuses, well] of table) {
    const probe = httpProbe({
      call: () => new HttpResponse({ status }),
      path: '/',
      host: 'x',
      expectedStatuses,
    })
    const outcome = await probe(new Call()).then(
      () => true,
      () => false,
    )
    assert.equal(outcome, well, `${status} of ${expectedStatuses}`)
  }
})

test('httpProbe asks a service of gRPC for its health', async () => {
  const health = grpcHealth({ services: ['shop.v1.Orders'] })
  const paths: string[] = []
  const probe = (grpcService: string): HealthProbe =>
    httpProbe({
      path: '/',
      host: 'a.example',
      expectedStatuses: [200],
      grpcService,
      call: (request, context) => {
        paths.push(`${request.authority}${request.target}`)
        return health.service(request, context)
      },
    })
  await probe('')(new Call())
  await probe('shop.v1.Orders')(new Call())
  assert.equal(paths[0], 'a.example/grpc.health.v1.Health/Check')
  health.set('shop.v1.Orders', 'NOT_SERVING')
  await assert.rejects(probe('shop.v1.Orders')(new Call()), { status: 'NOT_SERVING' })
  await assert.rejects(probe('shop.v1.Users')(new Call()), { status: 'NOT_FOUND' })
})
