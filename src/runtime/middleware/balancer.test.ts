import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedClassifier } from '../../../test/runtime/scripted-exchanger.ts'
import { ip } from '../../core/address.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { OverloadError, TransportError } from '../../core/errors.ts'
import type { Endpoint } from '../../core/policy.ts'
import type { MaybePromise, Service } from '../../core/service.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import type { BalancerNode, EndpointBalancer } from '../balancer/balancer.ts'
import { random } from '../balancer/random.ts'
import { balance } from './balancer.ts'
import { AttemptCall } from './retry.ts'

class Node implements BalancerNode {
  readonly endpoint: Endpoint
  readonly service: Service<string, string>
  calls = 0

  constructor(host: string, answer: (node: Node) => MaybePromise<string>) {
    this.endpoint = { address: ip(host, 80) }
    this.service = () => {
      this.calls++
      return answer(this)
    }
  }

  available(): boolean {
    return true
  }
}

function fixture(...answers: ((node: Node) => MaybePromise<string>)[]) {
  const clock = new ManualClock()
  const balancer: EndpointBalancer<Node> = random()<Node>()
  const nodes = answers.map((answer, index) => new Node(`10.0.0.${index + 1}`, answer))
  balancer.update(nodes, 0)
  const service = balance<string, string, Node>({
    clock,
    random: seededRandom(1),
    balancer,
    classifier: scriptedClassifier,
    whenReady: () => undefined,
    describe: () => 'why',
  })
  const call = async (context: CallContext = new Call()): Promise<string> => service('get', context)
  return { clock, balancer, nodes, call }
}

const raise = (error: Error) => (): never => {
  throw error
}

test('balance sends later attempts where none has failed, for errors and responses', async () => {
  const failures = [raise(new TransportError('ERR_RESET', 'x')), () => 'fail', async () => 'fail']
  for (const failure of failures) {
    for (let round = 0; round < 20; round++) {
      const { nodes, call } = fixture(failure, failure, failure)
      let context: CallContext = new Call()
      for (let attempt = 1; attempt <= 3; attempt++) {
        await call(context).catch(() => {})
        context = new AttemptCall(attempt + 1, context, context)
      }
      assert.deepEqual(
        nodes.map((node) => node.calls),
        [1, 1, 1],
      )
    }
  }
})

test('balance tells the balancer latency where there is something to tell', async () => {
  const slow = (clock: () => ManualClock, outcome: () => string) => (): string => {
    clock().advance(30)
    return outcome()
  }
  const table: [what: string, outcome: () => string, latency: number | undefined][] = [
    ['a reply', () => 'ok', 30],
    ['a failing reply', () => 'fail', 1_000],
    ['a reset', raise(new TransportError('ERR_RESET', 'x')), 1_000],
    ['a refusal here', raise(new OverloadError('ERR_POOL_FULL', 'x')), undefined],
    ['an abort', raise(new Error('mine')), undefined],
  ]
  for (const [what, outcome, latency] of table) {
    const made: ReturnType<typeof fixture> = fixture(slow(() => made.clock, outcome))
    await made.call().catch(() => {})
    const [node] = made.nodes as [Node]
    assert.equal(made.balancer.latencyOf(node, made.clock.now()), latency, what)
    assert.equal(made.balancer.loadOf(node), 0, what)
  }
})

test('balance says why nothing can be picked', async () => {
  await assert.rejects(fixture().call(), {
    code: 'ERR_NO_ENDPOINT',
    message: 'why',
    sent: 'nothing',
  })
})
