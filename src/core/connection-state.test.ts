import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CONNECTION_TRANSITIONS,
  type ConnectionState,
  ConnectionStateMachine,
} from './connection-state.ts'

const STATES = Object.keys(CONNECTION_TRANSITIONS) as ConnectionState[]

/** Written out a second time on purpose: a transition is a promise to observers and metrics. */
const LEGAL = new Set([
  'disconnected connecting',
  'disconnected connected',
  'disconnected closed',
  'connecting connected',
  'connecting closing',
  'connecting closed',
  'connecting error',
  'connected authenticating',
  'connected ready',
  'connected draining',
  'connected closing',
  'connected closed',
  'connected error',
  'authenticating ready',
  'authenticating draining',
  'authenticating closing',
  'authenticating closed',
  'authenticating error',
  'ready authenticating',
  'ready draining',
  'ready closing',
  'ready closed',
  'ready error',
  'draining closing',
  'draining closed',
  'draining error',
  'closing closed',
  'closing error',
  'closed connecting',
  'error connecting',
  'error closed',
])

test('ConnectionStateMachine allows exactly the legal transitions, of all 81', () => {
  assert.equal(STATES.length, 9)
  for (const from of STATES) {
    for (const to of STATES) {
      const told: string[] = []
      const machine = new ConnectionStateMachine((next, previous) => {
        told.push(`${previous} ${next}`)
      }, from)
      const legal = LEGAL.has(`${from} ${to}`)
      assert.equal(machine.can(to), legal, `can ${from} → ${to}`)
      if (from === to) {
        machine.to(to) // asking for the current state is not a transition
        assert.deepEqual(told, [])
      } else if (legal) {
        machine.to(to)
        assert.equal(machine.state, to)
        assert.deepEqual(told, [`${from} ${to}`])
      } else {
        assert.throws(() => machine.to(to), {
          code: 'ERR_INVARIANT',
          message: `connection state ${from} cannot become ${to}`,
        })
        assert.equal(machine.state, from)
        assert.deepEqual(told, [])
      }
    }
  }
})

test('ConnectionStateMachine starts disconnected and hands the reason on after the change', () => {
  const reason = new Error('why')
  let seen: unknown
  const machine = new ConnectionStateMachine((next, _previous, why) => {
    seen = [next, why, machine.state]
  })
  assert.equal(machine.state, 'disconnected')
  machine.to('connecting')
  machine.to('error', reason)
  assert.deepEqual(seen, ['error', reason, 'error'])
})

test('every state but the last two leads to closed, so that nothing is stuck', () => {
  for (const state of STATES) {
    if (state !== 'closed') assert.ok(CONNECTION_TRANSITIONS[state].includes('closed'), state)
  }
})
