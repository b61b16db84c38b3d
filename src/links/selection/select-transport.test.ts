import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  explainSelection,
  selectTransport,
  type TransportRequirements,
} from './select-transport.ts'
import { transportOverride } from './transport-override.ts'
import { type TransportProfile, transportProfiles } from './transport-profiles.ts'

/** Who is not refused, best first. */
function fitting(requirements: TransportRequirements): string {
  const { table } = selectTransport({ requirements })
  return table
    .filter((row) => row.points !== undefined)
    .map((row) => row.transport)
    .join(' ')
}

test('selectTransport refuses by requirement and sorts by preference', () => {
  const table: readonly (readonly [TransportRequirements, string])[] = [
    [{}, 'tcp ws tls wss quic webrtc'],
    [{ prefer: 'throughput' }, 'tcp tls ws wss quic webrtc'],
    [{ locality: 'process' }, 'memory unix tcp ws tls wss quic webrtc'],
    [{ locality: 'machine' }, 'unix tcp ws tls wss quic webrtc'],
    [{ encryption: true }, 'tls wss quic webrtc'],
    [
      { reliability: false, prefer: { latency: 1, throughput: 0 } },
      'tcp udp ws tls wss quic webrtc',
    ],
    [{ multicast: true, reliability: false }, 'udp'],
    [{ messageBoundaries: true }, 'ws wss webrtc'],
    [{ messageBoundaries: true, messageBytes: 262_144 }, 'ws wss webrtc'],
    [{ messageBoundaries: true, messageBytes: 262_145 }, 'ws wss'],
    [{ multiplexing: true }, 'quic'],
    [{ browser: true }, 'ws wss webrtc'],
    [{ browser: true, encryption: true }, 'wss webrtc'],
    [{ peerToPeer: true }, 'webrtc'],
  ]
  for (const [requirements, expected] of table) {
    assert.equal(fitting(requirements), expected, JSON.stringify(requirements))
  }
})

test('selectTransport gives every reason for a refusal', () => {
  const { table } = selectTransport({
    requirements: { encryption: true, browser: true, multiplexing: false, messageBoundaries: true },
  })
  const udp = table.find((row) => row.transport === 'udp')
  assert.deepEqual(udp?.reasons, [
    'is not encrypted',
    'may lose what is sent',
    'may change the order',
    'does not exist in browsers',
  ])
})

test('selectTransport chooses among the places where a peer can be reached', () => {
  const selection = selectTransport({
    requirements: { encryption: true },
    candidates: ['tcp://h:1', '/dns/h/udp/2/quic-v1', 'tls://h:3'],
  })
  assert.equal(selection.chosen.url, 'tls://h:3')
  assert.equal(selection.decidedBy, 'requirements')
  assert.equal(
    explainSelection(selection),
    [
      'tls://h:3: it fits best',
      '  46  tls://h:3   latency 25 of 67; throughput 21 of 33; 2 round trips to set up',
      '  17  quic://h:2  latency 8 of 67; throughput 8 of 33; 1 round trip to set up',
      '  no  tcp://h:1   is not encrypted',
    ].join('\n'),
  )
})

test('selectTransport leaves out what is not available, with the reason', () => {
  const unavailable = { tls: 'no certificates here', quic: 'koffi is missing' }
  const selection = selectTransport({ requirements: { encryption: true }, unavailable })
  assert.equal(selection.chosen.transport, 'wss')
  const quic = selection.table.find((row) => row.transport === 'quic')
  assert.deepEqual(quic?.reasons, ['not available: koffi is missing'])
})

test('selectTransport says why nothing fits', () => {
  assert.throws(
    () =>
      selectTransport({
        requirements: { encryption: true },
        candidates: ['tcp://h:1', 'udp://h:2'],
      }),
    {
      code: 'ERR_OPTION_UNSUPPORTED',
      message:
        'no transport fits: tcp://h:1 is not encrypted; udp://h:2 is not encrypted, may lose what is sent, may change the order',
    },
  )
  assert.throws(() => selectTransport({ candidates: [] }), /there are no candidates/)
  assert.throws(
    () => selectTransport({ candidates: ['pigeon://h:1'] }),
    /no transport that is known/,
  )
})

test('selectTransport lets a person choose: connection, API, environment, configuration', () => {
  const overrides = { connection: 'ws', api: 'wss', environment: 'quic', config: 'tls' }
  const order = ['connection', 'api', 'environment', 'config'] as const
  const left: Partial<Record<(typeof order)[number], string>> = { ...overrides }
  for (const by of order) {
    const { chosen, decidedBy } = selectTransport({ overrides: left })
    assert.deepEqual([chosen.transport, decidedBy], [overrides[by], by])
    delete left[by]
  }
  assert.equal(selectTransport({ overrides: left }).decidedBy, 'requirements')
  // What a person chose need not fit, but it is said.
  const { chosen } = selectTransport({ overrides: { api: 'udp' } })
  assert.deepEqual(chosen.reasons.slice(0, 2), ['chosen by the API', 'may lose what is sent'])
})

test('transportOverride reads HEDDLE_TRANSPORT, which stands behind what the program says', (context) => {
  const before = process.env['HEDDLE_TRANSPORT']
  context.after(() => {
    if (before === undefined) delete process.env['HEDDLE_TRANSPORT']
    else process.env['HEDDLE_TRANSPORT'] = before
  })
  delete process.env['HEDDLE_TRANSPORT']
  assert.deepEqual(transportOverride({ config: 'ws' }), { config: 'ws' })
  process.env['HEDDLE_TRANSPORT'] = ''
  assert.deepEqual(transportOverride(), {})
  process.env['HEDDLE_TRANSPORT'] = 'tls'
  assert.deepEqual(transportOverride({ config: 'ws' }), { config: 'ws', environment: 'tls' })
  const chosen = (overrides: Parameters<typeof transportOverride>[0]) => {
    const { chosen: row, decidedBy } = selectTransport({ overrides: transportOverride(overrides) })
    return `${row.transport} by ${decidedBy}`
  }
  assert.equal(chosen({ config: 'ws' }), 'tls by environment')
  assert.equal(chosen({ api: 'tcp' }), 'tcp by api')
  assert.equal(chosen({ environment: 'wss' }), 'wss by environment')
})

test('selectTransport does not let a choice take required encryption away, nor make things available', () => {
  const requirements = { encryption: true }
  assert.throws(() => selectTransport({ requirements, overrides: { environment: 'tcp' } }), {
    code: 'ERR_OPTION_UNSUPPORTED',
    message: 'transport tcp, chosen by HEDDLE_TRANSPORT: encryption is required, and it has none',
  })
  assert.throws(
    () => selectTransport({ overrides: { api: 'quic' }, unavailable: { quic: 'no koffi' } }),
    /chosen by the API: not available: no koffi/,
  )
  assert.throws(
    () => selectTransport({ candidates: ['tcp://h:1'], overrides: { config: 'tls' } }),
    /not among the candidates \(tcp\)/,
  )
})

test('selectTransport weighs transports of the user like its own', () => {
  const [memory] = transportProfiles
  const carrier: TransportProfile = { ...memory!, name: 'shm', reach: 'machine', throughputRank: 1 }
  const requirements = { locality: 'machine' } as const
  const selection = selectTransport({ requirements, profiles: [carrier] })
  assert.equal(selection.chosen.transport, 'shm')
  assert.throws(
    () => selectTransport({ requirements: { prefer: { latency: -1, throughput: 1 } } }),
    { code: 'ERR_OPTION_RANGE' },
  )
})

test('the ranks of the table are those of a sorted list, each once', () => {
  for (const rank of ['latencyRank', 'throughputRank'] as const) {
    const ranks = transportProfiles.map((profile) => profile[rank]).sort((a, b) => a - b)
    assert.deepEqual(
      ranks,
      transportProfiles.map((_, index) => index + 1),
      rank,
    )
  }
})
