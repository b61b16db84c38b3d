/** The file resolver: on a manual clock with a made-up file system, and once with the real one. */
import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseEndpointFile } from '../../src/discovery/endpoint-file.ts'
import { type FileAccess, fileResolver, nodeFiles } from '../../src/discovery/file.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { watching } from '../support/watching.ts'

function fixture() {
  const clock = new ManualClock()
  const file = { text: '[10.0.0.1:80]' as string | Error, reads: 0, watches: 0 }
  let changed = (): void => {}
  const files: FileAccess = {
    async read() {
      file.reads++
      if (file.text instanceof Error) throw file.text
      return file.text
    },
    watch(_file, onChange) {
      file.watches++
      changed = onChange
      return { [Symbol.dispose]: () => void file.watches-- }
    },
  }
  const resolver = fileResolver({ clock, random: () => 0, files })
  const write = (text: string | Error, tell = true): void => {
    file.text = text
    if (tell) changed()
  }
  return { clock, file, write, resolver, ...watching(resolver, 'endpoints.yaml') }
}

test('fileResolver tells a change when the folder says so, once it has settled', async () => {
  const { clock, heard, write, stop, file } = fixture()
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:80'])
  write('[10.0.0.2:80]')
  await clock.advanceAsync(199)
  assert.equal(heard.length, 1)
  await clock.advanceAsync(1)
  assert.deepEqual(heard.slice(1), ['10.0.0.2:80'])
  stop()
  assert.deepEqual([file.watches, clock.pendingTimers], [0, 0])
})

test('fileResolver notices a change that nobody told, within refreshMs', async () => {
  const { clock, heard, write, stop } = fixture()
  await clock.settle()
  write('[10.0.0.2:80]', false)
  await clock.advanceAsync(5_100)
  assert.deepEqual(heard, ['10.0.0.1:80', '10.0.0.2:80'])
  stop()
})

test('fileResolver does not take a file that is still being written', async () => {
  const { clock, heard, write, stop } = fixture()
  await clock.settle()
  // Each part is a valid list by itself.
  write('- 10.0.0.1:80\n')
  await clock.advanceAsync(150)
  write('- 10.0.0.1:80\n- 10.0.0.2:80\n')
  await clock.advanceAsync(150)
  write('- 10.0.0.1:80\n- 10.0.0.2:80\n- 10.0.0.3:80\n')
  await clock.advanceAsync(1_000)
  assert.deepEqual(heard, ['10.0.0.1:80', '10.0.0.1:80 10.0.0.2:80 10.0.0.3:80'])
  stop()
})

test('fileResolver waits for a file that was empty for a moment, as truncated ones are', async () => {
  const { clock, heard, write, stop } = fixture()
  await clock.settle()
  write('')
  await clock.advanceAsync(200)
  assert.equal(heard.at(-1), 'error: endpoints.yaml:1 is empty')
  write('- 10.0.0.1:80\n')
  await clock.advanceAsync(150)
  write('- 10.0.0.1:80\n- 10.0.0.2:80\n')
  await clock.advanceAsync(1_000)
  assert.deepEqual(heard.slice(2), ['10.0.0.1:80 10.0.0.2:80'])
  stop()
})

test('fileResolver keeps the set while the file is wrong, empty or away', async () => {
  const { clock, heard, write, stop } = fixture()
  await clock.settle()
  write('endpoints:\n  - 10.0.0.2:80\n  - nonsense\n')
  await clock.advanceAsync(200)
  assert.match(heard[1] ?? '', /error: endpoints\.yaml:3 address 'nonsense': expected a port/)
  write('')
  await clock.advanceAsync(200)
  assert.equal(heard.at(-1), 'error: endpoints.yaml:1 is empty')
  write(new Error('ENOENT'))
  await clock.advanceAsync(200)
  assert.equal(heard.at(-1), 'error: ENOENT')
  write('endpoints: []')
  await clock.advanceAsync(400)
  assert.equal(heard.at(-1), '(nobody)')
  stop()
})

test('parseEndpointFile reads lists, objects, anchors and JSON', () => {
  const address = { kind: 'ip', host: '10.0.0.1', port: 80 }
  assert.deepEqual(parseEndpointFile('[]', 'f'), [])
  assert.deepEqual(parseEndpointFile('["10.0.0.1:80"]', 'f'), [
    { endpoint: { address }, healthy: true },
  ])
  const rich = `
endpoints:
  - &a { address: 10.0.0.1:80, weight: 2, priority: 1, locality: eu-1a, hostname: h, healthy: false }
  - *a
  - address: unix:/run/x.sock
    metadata: { v: '1' }
`
  const [first, second, third] = parseEndpointFile(rich, 'f')
  const endpoint = { address, weight: 2, priority: 1, locality: 'eu-1a', hostname: 'h' }
  assert.deepEqual(first, { endpoint, healthy: false, metadata: {} })
  assert.deepEqual(second, first)
  assert.deepEqual(third?.metadata, { v: '1' })
})

test('parseEndpointFile says the line of every mistake', () => {
  for (const [text, message] of [
    ['', 'f:1 is empty'],
    ['# nothing\n', 'f:1 is empty'],
    ['a: 1', 'f:1 has no list of endpoints'],
    ['endpoints: 5', 'f:1 has no list of endpoints'],
    ['[10.0.0.1:80', /^f:1 is not valid: /],
    ['\n- 10.0.0.1:80\n- 5', 'f:3 an endpoint is host:port or has an address'],
    ['- {}', 'f:1 an endpoint has an address'],
    ['- 10.0.0.1:80\n- { address: 10.0.0.1:80, wieght: 1 }', "f:2 an endpoint has no 'wieght'"],
    ['- { address: 10.0.0.1:80, weight: 0 }', 'f:1 weight is a number from 0.01 to 1000000'],
    ['- { address: 10.0.0.1:80, healthy: no }', 'f:1 healthy is true or false'],
    ['- :80', "f:1 ':80' is not host:port or unix:/path"],
  ] as const) {
    const expected = { code: 'ERR_CONFIG', message }
    assert.throws(() => parseEndpointFile(text, 'f'), expected, text)
  }
})

test('fileResolver follows a real file through rename and removal, and refuses one too long', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  const file = join(folder, 'endpoints.json')
  const resolver = fileResolver({ file, settleMs: 5, refreshMs: 20, maxFileBytes: 40 })
  const heard: string[] = []
  let wake = (): void => {}
  const until = async (what: RegExp): Promise<void> => {
    while (!what.test(heard.at(-1) ?? '')) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const told = (text: string): void => {
    heard.push(text)
    wake()
  }
  await writeFile(file, '["10.0.0.1:80"]')
  const watch = resolver.watch('users', {
    onEndpoints: (found) => told(found.map(({ address }) => JSON.stringify(address)).join()),
    onError: (error) => told(error.message),
  })
  // Keeps the test alive: the resolver's timers do not.
  const alive = setInterval(() => {}, 1_000)
  try {
    await until(/10\.0\.0\.1/)
    await writeFile(`${file}.new`, '["10.0.0.2:80"]')
    await rename(`${file}.new`, file)
    await until(/10\.0\.0\.2/)
    await rm(file)
    await until(/ENOENT/)
    await writeFile(file, `["10.0.0.3:80"]${' '.repeat(40)}`)
    await until(/over 40 bytes, the limit of maxFileBytes/)
    await writeFile(file, '["10.0.0.3:80"]'.padEnd(40))
    await until(/10\.0\.0\.3/)
  } finally {
    clearInterval(alive)
    watch[Symbol.dispose]()
    await rm(folder, { recursive: true })
  }
})

test('nodeFiles tells when a folder cannot be watched', () => {
  const errors: Error[] = []
  const watch = nodeFiles.watch(
    '/nonexistent/endpoints',
    () => {},
    (error) => errors.push(error),
  )
  assert.equal(errors.length, 1)
  watch[Symbol.dispose]()
})
