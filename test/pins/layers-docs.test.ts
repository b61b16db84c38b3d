/** The defaults in docs/layers.md and the tutorial are those of the code, and no option is missing. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { binaryProtocolDefaults } from '../../src/links/binary-protocol/define-protocol.ts'
import { compressedDefaults } from '../../src/links/compressed/compression-options.ts'
import { framedDefaults } from '../../src/links/framed/framed.ts'
import { sealedDefaults } from '../../src/links/sealed/seal-options.ts'
import { yamuxTransportDefaults } from '../../src/links/yamux/yamux.ts'
import { yamuxStreamsDefaults } from '../../src/links/yamux/yamux-streams.ts'
import { yamuxDefaults } from '../../src/protocols/yamux/options.ts'

const { maxBufferedBytes } = yamuxDefaults
const SECTIONS: readonly (readonly [page: string, heading: string, defaults: object])[] = [
  ['layers', 'Framed', framedDefaults],
  ['layers', 'yamux', { ...yamuxTransportDefaults, ...yamuxStreamsDefaults, maxBufferedBytes }],
  ['layers', 'Sealed', sealedDefaults],
  ['layers', 'Compressed', compressedDefaults],
  ['tutorial-binary-protocol', 'Limits', binaryProtocolDefaults],
  ['protocols/yamux', 'Options', yamuxDefaults],
]

for (const [page, heading, defaults] of SECTIONS) {
  test(`docs/${page}.md, ${heading}: every option with its default`, () => {
    const text = readFileSync(fromRoot('docs', `${page}.md`), 'utf8')
    const section = text.split(/^## /m).find((one) => one.startsWith(`${heading}\n`))
    assert.ok(section !== undefined, `no section ${heading}`)
    const rows = section.split('\n').filter((line) => line.startsWith('| `'))
    for (const [name, value] of Object.entries(defaults)) {
      const row = rows.find((line) => line.split('|')[1]?.includes(`\`${name}\``))
      assert.ok(row !== undefined, `${name} is not in the section`)
      const shown = typeof value === 'number' ? value.toLocaleString('en-US') : String(value)
      assert.ok(row.split('|')[2]?.includes(shown), `${name}: ${shown} not in ${row}`)
    }
  })
}
