/** The page of Connect says the defaults that there are, and `heddle call`'s page its options. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { CALL_HELP } from '../../src/cli/call/call-arguments.ts'
import { connectBridgeDefaults } from '../../src/protocols/connect/connect-bridge.ts'
import { grpcOverConnectDefaults } from '../../src/protocols/connect/grpc-over-connect.ts'
import { grpcOverWebDefaults } from '../../src/protocols/connect/grpc-over-web.ts'
import { corsDefaults } from '../../src/servers/connect/cors.ts'
import { grpcChannelzDefaults } from '../../src/servers/grpc/channelz/grpc-channelz.ts'
import { grpcHealthDefaults } from '../../src/servers/grpc/health/grpc-health.ts'

test('docs/protocols/connect.md says the defaults', async () => {
  const page = await readFile(fromRoot('docs/protocols/connect.md'), 'utf8')
  const { maxMessageBytes: _, ...client } = {
    ...grpcOverConnectDefaults,
    text: grpcOverWebDefaults.text,
  }
  for (const [name, value] of Object.entries({
    ...connectBridgeDefaults,
    ...client,
    ...corsDefaults,
  })) {
    const shown = typeof value === 'number' ? numeral(value) : `\`${value}\``
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` |`))
    assert.ok(row?.includes(`| ${shown} |`), `${name}: ${shown} not in ${row}`)
  }
  for (const [name, value] of Object.entries({ ...grpcHealthDefaults, ...grpcChannelzDefaults })) {
    assert.ok(page.includes(`\`${name}\` ${value.toLocaleString('en-US')}`), name)
  }
})

test('docs/call.md has the options that the help has', async () => {
  const page = await readFile(fromRoot('docs/call.md'), 'utf8')
  for (const [, option] of CALL_HELP.matchAll(/(--[a-z-]+)/g)) {
    if (option === '--data' || option === '--header' || option === '--import-path') continue
    if (option === '--compact' || option === '--verbose' || option === '--help') continue
    assert.ok(page.includes(option as string), String(option))
  }
})

function numeral(value: number): string {
  return value === Number.POSITIVE_INFINITY ? 'Infinity' : value.toLocaleString('en-US')
}
