import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  capabilityNames,
  type TransportCapability,
  transportCapabilities,
} from '../links/capabilities/capabilities.ts'
import { platformReason } from '../links/capabilities/platform-reasons.ts'
import { readArguments } from './arguments.ts'
import { terminalOf } from './terminal.ts'
import { formatCapabilities, transports } from './transports.ts'

const FOUND: readonly TransportCapability[] = [
  { name: 'tcp', kind: 'transport', available: true, reason: undefined, details: {} },
  {
    name: 'udp',
    kind: 'transport',
    available: true,
    reason: undefined,
    details: { engine: 'handle' },
  },
  { name: 'quic', kind: 'transport', available: false, reason: 'no koffi', details: {} },
  { name: 'zstd', kind: 'feature', available: true, reason: undefined, details: {} },
]

function streams(isTTY: boolean, env: Readonly<Record<string, string>> = {}) {
  const said: string[] = []
  const stream = { write: (text: string) => void said.push(text), isTTY }
  return { said, terminal: terminalOf({ stdout: stream, stderr: stream, env }) }
}

test('heddle transports prints what works, and why the rest does not', () => {
  assert.equal(
    formatCapabilities(FOUND, streams(false).terminal),
    [
      'Transports',
      '  tcp   yes',
      '  udp   yes  engine handle',
      '  quic  no   no koffi',
      'Features',
      '  zstd  yes',
      '',
    ].join('\n'),
  )
})

test('heddle transports has colour on a terminal that wants it only', () => {
  const coloured = formatCapabilities(FOUND, streams(true).terminal)
  assert.ok(coloured.includes('\u001b[32myes\u001b[39m'))
  assert.ok(coloured.includes('\u001b[31mno \u001b[39m  no koffi'))
  for (const { terminal } of [streams(false), streams(true, { NO_COLOR: '1' })]) {
    assert.ok(!formatCapabilities(FOUND, terminal).includes('\u001b'))
  }
})

test('heddle transports --json prints one array for programs', async () => {
  const { said, terminal } = streams(true)
  let asked: number | undefined
  const command = { name: 'transports', json: true, timeoutMs: 50 } as const
  const code = await transports(command, terminal, async ({ timeoutMs } = {}) => {
    asked = timeoutMs
    return FOUND
  })
  assert.deepEqual([code, asked], [0, 50])
  const found = JSON.parse(said.join('')) as TransportCapability[]
  assert.deepEqual(found[2], {
    name: 'quic',
    kind: 'transport',
    available: false,
    reason: 'no koffi',
    details: {},
  })
})

const NAMED_PIPES = 'Node has named pipes on Windows, where other systems have Unix sockets'
const NO_QUIC = 'node.exe does not export the QUIC functions of its OpenSSL'
const notSpread = (system: string): string =>
  `${system} does not spread connections over sockets that share a port`
const linuxOnly = (system: string): string =>
  `abstract names exist on Linux only, and this is ${system}`

for (const [system, processor, expected] of [
  ['darwin', 'arm64', { 'unix-abstract': linuxOnly('macOS'), 'reuse-port': notSpread('macOS') }],
  [
    'win32',
    'x64',
    {
      unix: NAMED_PIPES,
      quic: NO_QUIC,
      'unix-abstract': linuxOnly('Windows'),
      'reuse-port': notSpread('Windows'),
    },
  ],
] as const) {
  test(`heddle transports says why on ${system}, in words, without trying`, async () => {
    const platform = { system, processor }
    const { said, terminal } = streams(false)
    const command = { name: 'transports', json: false, timeoutMs: 50 } as const
    const never = capabilityNames.filter((name) => platformReason(name, platform) !== undefined)
    await transports(command, terminal, (options) =>
      transportCapabilities({ ...options, platform, only: never }),
    )
    const lines = [...said.join('').matchAll(/^ {2}(\S+) +no {2,}(.+)$/gm)]
    assert.deepEqual(Object.fromEntries(lines.map(([, name, reason]) => [name, reason])), expected)
  })
}

test('heddle transports refuses what it does not know', () => {
  assert.deepEqual(readArguments(['transports', '--json', '--timeout', '50']), {
    name: 'transports',
    json: true,
    timeoutMs: 50,
  })
  for (const args of [['--timeout', '0'], ['--timeout', 'x'], ['quic'], ['--jsn']]) {
    assert.equal(readArguments(['transports', ...args]).name, 'usage', args.join(' '))
  }
  assert.equal(readArguments(['transport']).name, 'usage')
})
