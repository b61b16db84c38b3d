import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { type Address, memory as address } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { HeddleError } from '../../core/errors.ts'
import { Secret } from '../../core/secret.ts'
import type { Listener } from '../../core/transport.ts'
import { LengthPrefixedDecoder } from '../../protocols/framing/length-prefixed.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { ConnectionLog } from '../../testing/transport/connection-log.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { SealCodec } from './seal-codec.ts'
import { type SealCipher, SealCiphers, type SealKey } from './seal-keys.ts'
import { resolveSealedOptions, type SealedOptions } from './seal-options.ts'
import { sealed } from './sealed.ts'

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const keys: readonly SealKey[] = [{ id: 'a', key: key(7) }]
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Both sides over a memory link with somebody in between, who may change the records. */
async function setUp(
  client: Partial<SealedOptions> = {},
  server: Partial<SealedOptions> = {},
  between: (record: Uint8Array, number: number) => readonly Uint8Array[] = (record) => [record],
) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const carrier = memory({ clock, network })
  const errors: Error[] = []
  const accepted: ConnectionLog[] = []
  const behind = await sealed(carrier, { keys, clock, ...server }).listen(address('0'), {
    onConnection: (one) => void accepted.push(new ConnectionLog(one).open()),
    onError: (error) => errors.push(error),
  })
  const front = await carrier.listen(address('0'), {
    onConnection: (near) => void relay(near, carrier.connect(behind.address), between),
  })
  const transport = sealed(carrier, { keys, clock, ...client })
  const connect = (to: Address = front.address): Promise<ConnectionLog | Error> => {
    const outcome = transport.connect(to).then(
      (connection) => new ConnectionLog(connection).open(),
      (error: Error) => error,
    )
    return clock.settle().then(() => outcome)
  }
  /** A connection to the sealed listener that seals nothing. */
  const connectRaw = (): Promise<ConnectionLog> => {
    const connecting = carrier.connect(behind.address)
    return clock.settle().then(async () => new ConnectionLog(await connecting).open())
  }
  return { clock, carrier, behind, errors, accepted, connect, connectRaw, transport }
}

/** Passes everything on; what the connecting side sends goes through `between`, record by record. */
async function relay(
  near: Connection,
  connecting: Promise<Connection>,
  between: (record: Uint8Array, number: number) => readonly Uint8Array[],
): Promise<void> {
  const far = await connecting
  const decoder = new LengthPrefixedDecoder()
  let number = 0
  near.open({
    onData(chunk) {
      decoder.push(chunk)
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
        for (const record of between(next.slice(), number++)) far.write(withLength(record))
      }
    },
    onDrain() {},
    onEnd: () => far.end(),
    onClose: () => far.destroy(),
  })
  far.open({
    onData: (chunk) => void near.write(chunk.slice()),
    onDrain() {},
    onEnd: () => near.end(),
    onClose: () => near.destroy(),
  })
}

function withLength(record: Uint8Array): Uint8Array {
  const whole = new Uint8Array(4 + record.length)
  new DataView(whole.buffer).setUint32(0, record.length)
  whole.set(record, 4)
  return whole
}

function code(error: unknown): string | undefined {
  return error instanceof HeddleError ? error.code : undefined
}

// Records of the connecting side: 0 hello, 1 confirm, then one for each write.
const FIRST = 2

for (const cipher of SealCiphers) {
  test(`sealed carries bytes with ${cipher} and says what was agreed`, async () => {
    const { connect, accepted, clock } = await setUp({ cipher })
    const client = (await connect()) as ConnectionLog
    client.write('to the server')
    await clock.settle()
    accepted[0]?.write('and back')
    await clock.settle()
    assert.equal(accepted[0]?.text, 'to the server')
    assert.equal(client.text, 'and back')
    assert.deepEqual(client.connection.facts.seal, { cipher, keyId: 'a' })
    assert.deepEqual(accepted[0]?.connection.facts.seal, { cipher, keyId: 'a' })
  })

  const attacks: Readonly<
    Record<string, readonly [(record: Uint8Array, number: number) => Uint8Array[], string]>
  > = {
    'a record with one bit changed': [
      (record, number) => {
        if (number === FIRST) record[7] = (record[7] as number) ^ 1
        return [record]
      },
      'ERR_FORGED',
    ],
    'a record whose tag is changed': [
      (record, number) => {
        if (number === FIRST) record[record.length - 1] = (record.at(-1) as number) ^ 0x80
        return [record]
      },
      'ERR_FORGED',
    ],
    'a record whose type is changed': [
      (record, number) => {
        if (number === FIRST) record[0] = 2
        return [record]
      },
      'ERR_FORGED',
    ],
    'a record that is a byte shorter': [
      (record, number) => [number === FIRST ? record.subarray(0, -1) : record],
      'ERR_FORGED',
    ],
    'a record that is replayed': [
      (record, number) => (number === FIRST ? [record, record] : [record]),
      'ERR_REPLAYED',
    ],
    'a record that is left out': [
      (record, number) => (number === FIRST ? [] : [record]),
      'ERR_REPLAYED',
    ],
    'records that are swapped': [swapping(), 'ERR_REPLAYED'],
    'a replayed record with the number that is due': [
      (record, number) => {
        if (number !== FIRST) return [record]
        const again = record.slice()
        again[4] = 2
        return [record, again]
      },
      'ERR_FORGED',
    ],
    'a record of nothing': [
      (record, number) => [number === FIRST ? new Uint8Array(0) : record],
      'ERR_MALFORMED',
    ],
    'a record longer than any': [
      (record, number) => [number === FIRST ? new Uint8Array(65_536 + 22) : record],
      'ERR_FRAME_TOO_LARGE',
    ],
    'a stream cut before its last record': [
      (record, number) => (number === FIRST + 2 ? [] : [record]),
      'ERR_TRUNCATED',
    ],
  }
  for (const [what, [between, expected]] of Object.entries(attacks)) {
    test(`sealed with ${cipher} refuses ${what}: ${expected}`, async () => {
      const { connect, accepted, clock } = await setUp({ cipher }, {}, between)
      const client = (await connect()) as ConnectionLog
      for (const text of ['one', 'two']) {
        client.write(text)
        await clock.settle()
      }
      client.connection.end()
      await clock.settle()
      const server = accepted[0]
      assert.ok(server?.closed, 'still open')
      assert.equal(code(server.closeReason), expected)
      assert.ok(!server.ended, 'an end was told')
      assert.ok(['', 'one', 'onetwo'].includes(server.text), `delivered ${server.text}`)
    })
  }
}

function swapping(): (record: Uint8Array, number: number) => Uint8Array[] {
  let first: Uint8Array | undefined
  return (record, number) => {
    if (number === FIRST) {
      first = record
      return []
    }
    return number === FIRST + 1 ? [record, first as Uint8Array] : [record]
  }
}

test('sealed delivers an end that is authentic', async () => {
  const { connect, accepted, clock } = await setUp()
  const client = (await connect()) as ConnectionLog
  client.write('all')
  client.connection.end()
  await clock.settle()
  assert.ok(accepted[0]?.ended)
  accepted[0]?.connection.end()
  await clock.settle()
  assert.deepEqual([client.closed, client.closeReason], [true, undefined])
})

const REFUSED: Readonly<
  Record<string, readonly [Partial<SealedOptions>, Partial<SealedOptions>, RegExp]>
> = {
  'another key of the same id': [
    { keys: [{ id: 'a', key: key(8) }] },
    {},
    /does not open: it has another key/,
  ],
  'a key id that the other side has not': [{ keys: [{ id: 'b', key: key(7) }] }, {}, /no key "b"/],
  'a cipher that is not accepted': [
    { cipher: 'chacha20-poly1305' },
    { acceptedCiphers: ['aes-256-gcm'] },
    /cipher chacha20-poly1305 is not accepted/,
  ],
}

for (const [what, [client, server, why]] of Object.entries(REFUSED)) {
  test(`sealed refuses ${what}: ERR_SEAL at whoever sees it`, async () => {
    const { connect, accepted, errors } = await setUp(client, server)
    const outcome = await connect()
    assert.ok(outcome instanceof HeddleError)
    assert.ok(['ERR_SEAL', 'ERR_CONNECT', 'ERR_RESET'].includes(outcome.code), outcome.code)
    assert.equal(outcome.sent, 'nothing')
    assert.equal(accepted.length, 0)
    const seen = [outcome, ...errors].find((error) => code(error) === 'ERR_SEAL')
    assert.match(String(seen), why)
  })
}

test('sealed refuses a hello that was changed on its way: ERR_SEAL, though the key is right', async () => {
  const twoKeys = [...keys, { id: 'b', key: key(7) }]
  const changed = await setUp({ keys: twoKeys }, { keys: twoKeys }, (record, number) => {
    if (number === 0) record[6] = 0x62 // key id a → b, whose key is the same
    return [record]
  })
  assert.equal(code(await changed.connect()), 'ERR_SEAL')
  assert.equal(changed.accepted.length, 0)
})

test('sealed refuses what was recorded of another connection', async () => {
  const recorded: Uint8Array[] = []
  const first = await setUp({}, {}, (record) => {
    recorded.push(record)
    return [record]
  })
  const client = (await first.connect()) as ConnectionLog
  client.write('pay 100')
  await first.clock.settle()
  // Everything again, at the same server.
  const log = await first.connectRaw()
  for (const record of recorded) log.send(withLength(record))
  await first.clock.settle()
  assert.ok(log.closed)
  assert.equal(first.accepted.length, 1)
  assert.equal(code(first.errors[0]), 'ERR_SEAL')
})

test('sealed does not take its own records back from a mirror', async () => {
  const clock = new ManualClock()
  const carrier = memory({ clock, network: new MemoryNetwork() })
  const mirror = await carrier.listen(address('0'), {
    onConnection: (one) => {
      const log: ConnectionLog = new ConnectionLog(one, { onData: (c) => void log.send(c.slice()) })
      log.open()
    },
  })
  const outcome = sealed(carrier, { keys, clock })
    .connect(mirror.address)
    .catch((error) => error)
  await clock.settle()
  assert.equal(code(await outcome), 'ERR_SEAL')
})

test('sealed refuses a peer that speaks something else, without waiting for it to say more', async () => {
  const { connectRaw, errors, clock } = await setUp()
  const raw = await connectRaw()
  raw.write('GET / HTTP/1.1\r\n\r\n')
  await clock.settle()
  assert.ok(raw.closed)
  assert.equal(code(errors[0]), 'ERR_FRAME_TOO_LARGE') // its text taken for a length
  const short = await connectRaw()
  short.send(Uint8Array.of(0, 0, 0, 3, 1, 2, 3))
  await clock.settle()
  assert.equal(code(errors[1]), 'ERR_SEAL')
})

test('sealed gives up on a silent peer after handshakeTimeoutMs, on both sides', async () => {
  const { carrier, connectRaw, errors, clock } = await setUp({}, { handshakeTimeoutMs: 500 })
  const silent = await connectRaw()
  await clock.advanceAsync(499)
  assert.ok(!silent.closed)
  await clock.advanceAsync(1)
  assert.ok(silent.closed)
  assert.equal(code(errors[0]), 'ERR_CONNECT_TIMEOUT')
  const mute = await carrier.listen(address('0'), { onConnection: (one) => one.open(MUTE) })
  const transport = sealed(carrier, { keys, clock, handshakeTimeoutMs: 500 })
  const outcome = transport.connect(mute.address).catch((error) => error)
  await clock.advanceAsync(500)
  assert.equal(code(await outcome), 'ERR_CONNECT_TIMEOUT')
  assert.equal(clock.pendingTimers, 0)
})

const MUTE = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} }

test('sealed takes maxHandshakes newcomers at a time, and closes one more', async () => {
  const { connectRaw, behind, errors, clock } = await setUp({}, { maxHandshakes: 2 })
  const logs: ConnectionLog[] = []
  for (let count = 0; count < 3; count++) {
    logs.push(await connectRaw())
    await clock.settle()
  }
  assert.deepEqual(
    logs.map((log) => log.closed),
    [false, false, true],
  )
  assert.equal(code(errors[0]), 'ERR_LIMITED')
  assert.equal(behind.connectionCount, 0)
})

test('sealed takes keys that were added meanwhile, and keeps connections of those that are gone', async () => {
  let current = [{ id: 'old', key: key(1) }]
  const { connect, accepted, clock, carrier, behind } = await setUp(
    { keys: [{ id: 'old', key: key(1) }] },
    { keys: () => current },
  )
  const before = (await connect()) as ConnectionLog
  current = [
    { id: 'new', key: key(2) },
    { id: 'old', key: key(1) },
  ]
  const fresh = sealed(carrier, { keys: [{ id: 'new', key: key(2) }], clock })
  const after = fresh.connect(behind.address)
  await clock.settle()
  assert.equal((await after).facts.seal?.keyId, 'new')
  current = [{ id: 'new', key: key(2) }]
  assert.ok((await connect()) instanceof Error, 'a key that is gone was accepted')
  before.write('still')
  await clock.settle()
  assert.equal(accepted[0]?.text, 'still')
})

test('sealed names the first key of those that a function gives at the time', async () => {
  let current = [{ id: 'old', key: key(1) }]
  const { connect, accepted } = await setUp({ keys: () => current }, { keys: () => current })
  await connect()
  current = [{ id: 'new', key: key(2) }]
  const after = await connect()
  assert.ok(!(after instanceof Error), `the key of yesterday was named: ${after}`)
  assert.deepEqual(
    accepted.map((log) => log.connection.facts.seal?.keyId),
    ['old', 'new'],
  )
})

/** Two codecs that have agreed, and the records that went between them. */
function agreed(options: Partial<SealedOptions> = {}, peer: Partial<SealedOptions> = options) {
  const near = new SealCodec(resolveSealedOptions({ keys, ...options }), 'initiating')
  const far = new SealCodec(resolveSealedOptions({ keys, ...peer }), 'accepting')
  const hello = near.begin()[0] as Uint8Array
  const [answer, theirs] = far.receiveHandshake(hello) as [Uint8Array, Uint8Array]
  const [ours] = near.receiveHandshake(answer) as [Uint8Array]
  near.receiveHandshake(theirs)
  far.receiveHandshake(ours)
  assert.ok(near.ready && far.ready)
  const seal = (payload: Uint8Array, now: number = 0): Uint8Array[] => {
    const records: Uint8Array[] = []
    near.seal(payload, now, (pieces) => records.push(Buffer.concat(pieces)))
    return records
  }
  return { near, far, seal, hello, ours }
}

/** Made by another implementation (Python, hmac and `cryptography`), from the drawing alone. */
const VECTORS: Readonly<Record<SealCipher, readonly string[]>> = {
  'aes-256-gcm': [
    '48534c310106766563746f72a0a1a2a3a4a5a6a7a8a9aaabacadaeafa0a1a2a3a4a5a6a7a8a9aaabacadaeaf',
    '00000000005937be37ef8062d2840d175465ea1de3',
    '01000000015e9192128285d383041592b2df862102e6986034ae',
    '0300000002e43d2fc9b7ad1bd622544f709bcd55ec',
    '0100000000cbc0bab6763e02c58155a16276168110cff850e4dc',
    '0200000001f4725c537b4c8e391e5b5af3d5fdeb19',
  ],
  'chacha20-poly1305': [
    '48534c310206766563746f72a0a1a2a3a4a5a6a7a8a9aaabacadaeafa0a1a2a3a4a5a6a7a8a9aaabacadaeaf',
    '00000000008a0b91a6ac60646c83dbd896321c89f0',
    '0100000001d90bb00c68817ab34606a2db01e30075deb6fcd016',
    '03000000020cd37d081786f89377e5fa0e8a9b84c7',
    '010000000083f5740a1c6d8572465a20b6e310349df077365206',
    '02000000014f2336e23d5e94daf4a2a4c3e9d0b97b',
  ],
}

for (const [cipher, expected] of Object.entries(VECTORS)) {
  test(`sealed records with ${cipher} are those of the test vectors`, () => {
    const salted = (from: number) => ({
      cipher: cipher as SealCipher,
      keys: [{ id: 'vector', key: Uint8Array.from({ length: 32 }, (_, at) => at) }],
      rekeyAfterRecords: 2,
      randomBytes: (salt: Uint8Array) => {
        for (let at = 0; at < 32; at++) salt[at] = from + (at % 16)
      },
    })
    const { near, far, seal, hello, ours } = agreed(salted(0xa0), salted(0xb0))
    const records = [hello, ours, ...seal(Buffer.from('hello')), ...seal(Buffer.from('again'))]
    near.sealEnd((pieces) => records.push(Buffer.concat(pieces)))
    assert.deepEqual(records.map(hex), expected)
    assert.equal(String(far.open(records[2] as Uint8Array)), 'hello')
    assert.equal(far.open(records[3] as Uint8Array), undefined)
    assert.equal(String(far.open(records[4] as Uint8Array)), 'again')
    assert.equal(far.open(records[5] as Uint8Array), undefined)
    assert.ok(far.ended)
    assert.throws(() => far.open(records[5] as Uint8Array), { code: 'ERR_PROTOCOL' })
  })
}

test('SealCodec changes its key after rekeyAfterRecords, rekeyAfterBytes and rekeyAfterMs', () => {
  const byRecords = agreed({ rekeyAfterRecords: 4 })
  // The confirmation is the first record under the key.
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => byRecords.seal(new Uint8Array(1)).length),
    [1, 1, 1, 2, 1],
  )
  const byBytes = agreed({ rekeyAfterBytes: 65_536 })
  assert.equal(byBytes.seal(new Uint8Array(65_535)).length, 1)
  assert.equal(byBytes.seal(new Uint8Array(1)).length, 1)
  assert.equal(byBytes.seal(new Uint8Array(1)).length, 2)
  const byTime = agreed({ rekeyAfterMs: 1_000 })
  assert.equal(byTime.seal(new Uint8Array(1), 5).length, 1)
  assert.equal(byTime.seal(new Uint8Array(1), 1_004).length, 1)
  assert.equal(byTime.seal(new Uint8Array(1), 1_005).length, 2)
})

test('SealCodec takes maxRecordsPerKey records under one key, and refuses one more: ERR_LIMIT', () => {
  const { far, seal } = agreed({ maxRecordsPerKey: 3 })
  for (let count = 0; count < 2; count++) far.open(seal(new Uint8Array(1))[0] as Uint8Array)
  assert.throws(() => far.open(seal(new Uint8Array(1))[0] as Uint8Array), {
    code: 'ERR_LIMIT',
    message: '4 records under one key, over maxRecordsPerKey 3',
  })
})

test('SealCodec refuses records of an older key', () => {
  const { far, seal } = agreed({ rekeyAfterRecords: 2 })
  const old = seal(new Uint8Array(1))[0] as Uint8Array
  far.open(old)
  for (const record of seal(new Uint8Array(1))) far.open(record)
  assert.throws(() => far.open(old), { code: 'ERR_FORGED' }) // its number is due again
})

test('sealed takes a key as bytes, as base64 and as a secret, and no other length', () => {
  const base64 = Buffer.from(key(7)).toString('base64')
  for (const value of [key(7), base64, new Secret(key(7)), new Secret(base64)]) {
    resolveSealedOptions({ keys: [{ id: 'a', key: value }] })
  }
  const wrong = [key(7).subarray(1), 'hunter2', new Uint8Array(33), new Secret('')]
  for (const value of wrong) {
    assert.throws(() => resolveSealedOptions({ keys: [{ id: 'a', key: value }] }), {
      code: 'ERR_ARGUMENT',
      message: /^key a has \d+ bytes, must be 32$/,
    })
  }
})

test('sealed refuses options that cannot be meant', () => {
  const one = keys[0] as SealKey
  const wrong: readonly Partial<SealedOptions>[] = [
    { keys: [] },
    { keys: [one, one] },
    { keys: [{ ...one, id: '' }] },
    { keys: [{ ...one, id: 'x'.repeat(65) }] },
    { keyId: 'b' },
    { cipher: 'rot13' as SealCipher },
  ]
  for (const options of wrong) {
    assert.throws(() => resolveSealedOptions({ keys, ...options }), { code: 'ERR_ARGUMENT' })
  }
  resolveSealedOptions({ keys: [{ ...one, id: 'x'.repeat(64) }] })
  for (const options of [{ rekeyAfterRecords: 1 }, { rekeyAfterBytes: 1 }, { maxHandshakes: 0 }]) {
    assert.throws(() => resolveSealedOptions({ keys, ...options }), { code: 'ERR_OPTION_RANGE' })
  }
})

test('sealed shows no key to whoever prints a transport, a connection or an error', async () => {
  const secret = Buffer.from('an0ther-secret-of-32-bytes-long!')
  const shown: string[] = []
  const options = { keys: [{ id: 'a', key: secret }] }
  const { connect, transport, errors } = await setUp(options, options)
  const client = (await connect()) as ConnectionLog
  const refused = await setUp({ keys: [{ id: 'a', key: secret }] }, {})
  shown.push(inspect(transport, { depth: 20, showHidden: true }))
  shown.push(inspect(client.connection, { depth: 20, showHidden: true }))
  shown.push(inspect([await refused.connect(), ...refused.errors, ...errors], { depth: 20 }))
  shown.push(JSON.stringify(resolveSealedOptions(options).keys().get('a')))
  for (const text of shown) {
    assert.ok(!text.includes('an0ther-secret'), 'the key as text')
    assert.ok(!text.includes(secret.toString('hex').slice(0, 16)), 'the key as hex')
    assert.ok(!text.includes('61 6e 30 74 68 65 72'), 'the key as bytes')
  }
})

test('a sealed listener that closes waits for its connections, not for handshakes', async () => {
  const { connect, connectRaw, behind, clock, accepted } = await setUp()
  const client = (await connect()) as ConnectionLog
  const silent = await connectRaw()
  await clock.settle()
  let closed = false
  const closing = (behind as Listener).close().then(() => {
    closed = true
  })
  await clock.settle()
  assert.deepEqual([closed, silent.closed, client.closed], [false, true, false])
  client.connection.end()
  accepted[0]?.connection.end()
  await clock.settle()
  await closing
})
