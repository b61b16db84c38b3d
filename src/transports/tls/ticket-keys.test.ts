import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Acceptor, Recorder } from '../../../test/transports/recorder.ts'
import { type Address, ip } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { fixedTicketKeys, rotatingTicketKeys } from './ticket-keys.ts'
import { tls } from './tls.ts'

const HOUR = 3_600_000
const LOOPBACK = ip('127.0.0.1', 0)
const authority = await DevAuthority.create(systemClock)
const credentials = await authority.issue()
const { ca } = authority

test('rotatingTicketKeys keeps as many older keys as it says, and forgets the rest', () => {
  const clock = new ManualClock()
  const source = rotatingTicketKeys({ clock, periodMs: HOUR, previous: 2 })
  const seen = [source.keys()[0]]
  for (let hour = 1; hour <= 4; hour++) {
    clock.advance(HOUR - 1)
    assert.equal(source.keys()[0], seen[0], 'a millisecond early is early')
    clock.advance(1)
    seen.unshift(source.keys()[0])
    assert.deepEqual(source.keys(), seen.slice(0, 3))
  }
  // Nobody asked for a long time: nothing of before is left.
  clock.advance(3 * HOUR)
  assert.equal(source.keys().length, 1)
  assert.ok(!seen.includes(source.keys()[0]))
})

test('rotatingTicketKeys turns by the monotonic clock when nothing is shared', () => {
  const clock = new ManualClock()
  const source = rotatingTicketKeys({ clock, periodMs: HOUR })
  const [first] = source.keys()
  clock.jumpWall(48 * HOUR)
  assert.equal(source.keys()[0], first)
})

test('rotatingTicketKeys with one secret are the same everywhere, whoever is a period ahead', () => {
  const secret = randomBytes(32)
  const [here, there] = [new ManualClock(), new ManualClock()]
  const options = { periodMs: HOUR, previous: 1, secret }
  const ours = rotatingTicketKeys({ clock: here, ...options })
  const theirs = rotatingTicketKeys({ clock: there, ...options })
  const names = (source: typeof ours) => source.keys().map(({ name }) => name.toString('hex'))
  assert.deepEqual(names(ours), names(theirs))
  there.jumpWall(HOUR)
  const newest = names(theirs)[0] as string
  assert.notEqual(names(ours)[0], newest)
  assert.ok(names(ours).includes(newest), 'the next key decrypts already')
  assert.ok(names(theirs).includes(names(ours)[0] as string), 'the previous one does still')
  there.jumpWall(2 * HOUR)
  assert.ok(!names(theirs).includes(names(ours)[0] as string))
  const other = rotatingTicketKeys({ clock: here, ...options, secret: randomBytes(32) })
  assert.equal(names(other).filter((name) => names(ours).includes(name)).length, 0)
})

test('rotatingTicketKeys and fixedTicketKeys refuse what is out of range', () => {
  const clock = new ManualClock()
  const cases: [() => unknown, RegExp][] = [
    [() => rotatingTicketKeys({ clock, periodMs: 0 }), /periodMs is 0/],
    [() => rotatingTicketKeys({ clock, previous: 17 }), /previous is 17/],
    [() => rotatingTicketKeys({ clock, secret: randomBytes(31) }), /31 bytes.* at least 32/],
    [() => fixedTicketKeys([]), /length is 0/],
    [() => fixedTicketKeys(randomBytes(80)), /80 bytes, must have 48/],
  ]
  for (const [make, message] of cases) assert.throws(make, { code: 'ERR_OPTION_RANGE', message })
  rotatingTicketKeys({ clock, periodMs: 1, previous: 16, secret: randomBytes(32) })
})

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion} sessions are resumed across rotations, until their key is forgotten`, async () => {
    const clock = new ManualClock()
    const ticketKeys = rotatingTicketKeys({ clock, periodMs: HOUR, previous: 2 })
    const serving = tls({ credentials, maxVersion, ticketKeys })
    await using acceptor = await Acceptor.listen(serving, LOOPBACK, greet)
    const client = tls({ ca, maxSessions: 1 })
    const connect = () => resumes(client, acceptor.address)
    assert.equal(await connect(), false)
    // Each one is answered with a ticket of the newest key, so that a client may go on for ever.
    for (let hour = 0; hour < 4; hour++) {
      clock.advance(2 * HOUR)
      assert.equal(await connect(), true, `rotation ${hour}`)
    }
    clock.advance(3 * HOUR)
    assert.equal(await connect(), false, 'its key is gone')
    assert.equal(await connect(), true)
  })

  test(`${maxVersion} sessions are resumed by another server that shares the secret`, async () => {
    const clock = new ManualClock()
    const secret = randomBytes(32)
    const serve = () => {
      const ticketKeys = rotatingTicketKeys({ clock, periodMs: HOUR, secret })
      const named = { 'other.example': credentials }
      return tls({ credentials, maxVersion, ticketKeys, serverNames: named })
    }
    const client = tls({ ca })
    const first = await Acceptor.listen(serve(), LOOPBACK, greet)
    const { address } = first
    assert.equal(await resumes(client, address), false)
    await first[Symbol.asyncDispose]()
    clock.jumpWall(HOUR)
    await using _second = await Acceptor.listen(serve(), address, greet)
    assert.equal(await resumes(client, address), true)
  })
}

/** Connects and says whether the session was resumed. The greeting comes after the tickets. */
async function resumes(transport: Transport, address: Address): Promise<boolean | undefined> {
  const connection = await transport.connect(address)
  const recorder = new Recorder()
  connection.open(recorder)
  await recorder.received(5)
  connection.destroy()
  return connection.facts.tls?.resumed
}

function greet(connection: Connection): void {
  connection.open(new Recorder())
  connection.write(Buffer.from('hello'))
}
