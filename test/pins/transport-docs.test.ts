/**
 * The defaults in docs/transports are those of the code, and no option is missing.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { byteStreamDefaults } from '../../src/links/byte-stream/byte-stream.ts'
import { fragmentedDefaults } from '../../src/links/fragmented/fragmented.ts'
import { messageStreamDefaults } from '../../src/links/message-stream/message-stream.ts'
import { signallingClientDefaults } from '../../src/links/webrtc-signalling/signalling-client.ts'
import { signallingServerDefaults } from '../../src/links/webrtc-signalling/signalling-server.ts'
import { webSocketTransportDefaults } from '../../src/links/websocket/websocket.ts'
import { browserWebSocketDefaults } from '../../src/links/websocket-browser/browser-websocket.ts'
import { reliableDatagramDefaults } from '../../src/protocols/reliable-datagrams/options.ts'
import { deflateDefaults, webSocketDefaults } from '../../src/protocols/websocket/options.ts'
import { memoryDatagramDefaults } from '../../src/transports/memory/memory-datagrams.ts'
import { memoryDefaults } from '../../src/transports/memory/memory-transport.ts'
import { fromDuplexDefaults } from '../../src/transports/node-stream/from-duplex.ts'
import { toDuplexDefaults } from '../../src/transports/node-stream/to-duplex.ts'
import { quicDefaults } from '../../src/transports/quic/quic-options.ts'
import { quicStreamsDefaults } from '../../src/transports/quic/quic-streams.ts'
import { tcpDefaults } from '../../src/transports/tcp/tcp-options.ts'
import { certificateFilesDefaults } from '../../src/transports/tls/certificate-files.ts'
import { tlsDefaults } from '../../src/transports/tls/tls-options.ts'
import { udpDefaults } from '../../src/transports/udp/udp-options.ts'
import { unixDefaults } from '../../src/transports/unix/unix-options.ts'
import { webRtcDefaults } from '../../src/transports/webrtc/webrtc-options.ts'

const PAGES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  tcp: tcpDefaults,
  tls: tlsDefaults,
  udp: { ...udpDefaults, ...reliableDatagramDefaults },
  quic: {
    ...quicDefaults,
    ...quicStreamsDefaults,
    alpn: quicDefaults.alpn,
    codeOf: 'defaultCodeOf',
  },
  unix: unixDefaults,
  duplex: toDuplexDefaults,
  'byte-stream': byteStreamDefaults,
  'message-stream': messageStreamDefaults,
  webrtc: {
    ...without(fragmentedDefaults, 'maxMessageBytes'),
    ...signallingClientDefaults,
    ...webRtcDefaults,
  },
  websocket: {
    ...webSocketDefaults,
    ...webSocketTransportDefaults,
    ...deflateDefaults,
    ...browserWebSocketDefaults,
  },
}

/** Where a page has two tables with options of the same names. */
const SECTIONS: readonly (readonly [page: string, heading: string, defaults: object])[] = [
  ['memory', 'Options', memoryDefaults],
  ['memory', 'Datagrams', memoryDatagramDefaults],
  ['duplex', 'fromDuplex', fromDuplexDefaults],
  ['webrtc', 'Signalling', signallingServerDefaults],
  ['tls', 'Certificates from files', certificateFilesDefaults],
]

for (const [page, heading, defaults] of SECTIONS) {
  test(`docs/transports/${page}.md, ${heading}: every option with its default`, () => {
    const text = readFileSync(fromRoot('docs/transports', `${page}.md`), 'utf8')
    const section = text.split(/^## /m).find((one) => one.startsWith(`${heading}\n`))
    assert.ok(section !== undefined, `no section ${heading}`)
    const rows = section.split('\n').filter((line) => line.startsWith('| `'))
    for (const [name, value] of Object.entries(defaults)) {
      const row = rows.find((line) => line.split('|')[1]?.includes(`\`${name}\``))
      assert.ok(row !== undefined, `${name} is not in the section`)
      assert.ok(row.split('|')[2]?.includes(shown(name, value)), `${name}: not in ${row}`)
    }
  })
}

for (const [page, defaults] of Object.entries(PAGES)) {
  test(`docs/transports/${page}.md has every option with its default`, () => {
    const text = readFileSync(fromRoot('docs/transports', `${page}.md`), 'utf8')
    const rows = text.split('\n').filter((line) => line.startsWith('| `'))
    for (const [name, value] of Object.entries(defaults)) {
      const row = rows.find((line) => line.split('|')[1]?.includes(`\`${name}\``))
      assert.ok(row !== undefined, `${name} is not on the page`)
      if (row.includes('as for [TCP]')) {
        assert.equal(value, tcpDefaults[name as keyof typeof tcpDefaults], name)
      } else {
        assert.ok(row.includes(shown(name, value)), `${name}: ${shown(name, value)} not in ${row}`)
      }
    }
  })
}

/** Another option of the page has the name. */
function without(defaults: Readonly<Record<string, unknown>>, name: string) {
  const { [name]: _, ...rest } = defaults
  return rest
}

function shown(name: string, value: unknown): string {
  if (name === 'mode') return `0o${Number(value).toString(8)}`
  return typeof value === 'number' ? value.toLocaleString('en-US') : String(value)
}
