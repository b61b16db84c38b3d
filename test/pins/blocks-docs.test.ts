/** The defaults on the pages of blocks are those of the code, and none is missing. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { reliableDefaults } from '../../src/links/blocks/acknowledger.ts'
import { blockListenDefaults } from '../../src/links/blocks/block-listener.ts'
import { blockOptionDefaults } from '../../src/links/blocks/block-options.ts'
import * as configs from '../../src/links/blocks/configs.ts'
import { datagramHelloDefaults } from '../../src/links/blocks/datagram-hellos.ts'
import { negotiateDefaults } from '../../src/links/blocks/negotiate.ts'
import { reassemblyDefaults } from '../../src/protocols/olocus/fragments.ts'
import { blockDefaults } from '../../src/protocols/olocus/options.ts'

const pages: [string, Readonly<Record<string, unknown>>][] = [
  ['docs/protocols/olocus.md', { ...blockDefaults, ...reassemblyDefaults }],
  ['docs/blocks.md', blockOptionDefaults],
]

for (const [page, defaults] of pages) {
  test(`${page} has every option with its default`, () => {
    const rows = readFileSync(fromRoot(page), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
    for (const [name, value] of Object.entries(defaults)) {
      const row = rows.find((line) => line.split('|')[1]?.includes(`\`${name}\``))
      assert.ok(row?.includes(` ${shown(value)} `), `${name}: ${shown(value)} not in ${row}`)
    }
  })
}

test('docs/blocks.md has the configurations of the seed with their defaults', () => {
  const page = readFileSync(fromRoot('docs/blocks.md'), 'utf8')
  const all = {
    TimeoutConfig: configs.timeoutConfigDefaults,
    BufferConfig: configs.bufferConfigDefaults,
    TcpConfig: configs.tcpConfigDefaults,
    UdpConfig: configs.udpConfigDefaults,
    QuicConfig: configs.quicConfigDefaults,
    WebSocketConfig: configs.webSocketConfigDefaults,
  }
  for (const [name, defaults] of Object.entries(all)) {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? ''
    for (const [option, value] of Object.entries(defaults)) {
      if (value === null && name === 'QuicConfig') continue // the certificate: none
      assert.ok(row.includes(`${option} ${shown(value)}`), `${option} ${shown(value)}: ${row}`)
    }
  }
})

test('docs/blocks.md has the defaults of what only some transports take', () => {
  const page = readFileSync(fromRoot('docs/blocks.md'), 'utf8')
  const { maxIncomplete, maxBufferedBytes, fragmentTimeoutMs } = reassemblyDefaults
  const all = {
    ...reliableDefaults,
    ...blockListenDefaults,
    ...negotiateDefaults,
    maxIncomplete,
    maxFragmentBytes: maxBufferedBytes,
    fragmentTimeoutMs,
  }
  for (const [option, value] of Object.entries(all)) {
    assert.ok(page.includes(`\`${option}\` ${shown(value)}`), `${option} ${shown(value)}`)
  }
  assert.ok(page.includes(`\`maxPeers\` (${shown(datagramHelloDefaults.maxPeers)})`))
})

function shown(value: unknown): string {
  return typeof value === 'number' ? value.toLocaleString('en-US') : String(value)
}
