import assert from 'node:assert/strict'
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HttpFields } from '../../protocols/http/fields.ts'
import { AccessLog, type AccessRecord } from './access-log.ts'
import { LineFile } from './line-file.ts'

const record: AccessRecord = {
  listener: 'http',
  peer: '127.0.0.1:5',
  connectionId: 3,
  transport: 'tcp',
  protocol: 'http/1.1',
  method: 'GET',
  authority: 'a.example',
  target: '/x?token=abc',
  fields: new HttpFields({ 'user-agent': 'curl', authorization: 'Bearer abc' }),
  status: 200,
  durationMs: 1.23456,
  requestBytes: 0,
  responseBytes: 5,
  route: 'r',
  cluster: 'c',
  upstream: '127.0.0.1:9',
  attempts: 1,
  requestId: 'id',
  trace: {
    traceId: 'a'.repeat(32),
    spanId: 'b'.repeat(16),
    flags: 1,
    state: undefined,
    baggage: undefined,
  },
  error: undefined,
}

function lineOf(options: { headers?: string[]; query?: boolean }): Record<string, unknown> {
  const lines: string[] = []
  const clock = { wallNow: () => Date.UTC(2026, 0, 1) }
  new AccessLog({ sink: (line) => lines.push(line), clock, ...options }).write(record)
  assert.equal(lines.length, 1)
  assert.ok(lines[0]?.endsWith('\n'))
  return JSON.parse(lines[0] as string)
}

test('AccessLog writes one line of JSON with the conventional names', () => {
  const line = lineOf({})
  assert.equal(line['ts'], '2026-01-01T00:00:00.000Z')
  assert.equal(line['path'], '/x')
  assert.equal(line['duration_ms'], 1.235)
  assert.equal(line['correlation_id'], 'id')
  assert.deepEqual([line['connection_id'], line['transport']], [3, 'tcp'])
  assert.deepEqual([line['trace_id'], line['span_id']], ['a'.repeat(32), 'b'.repeat(16)])
  assert.equal(line['status'], 200)
  assert.equal('headers' in line, false)
})

test('AccessLog writes the query only when asked, and never a secret header', () => {
  const line = lineOf({ query: true, headers: ['User-Agent', 'Authorization'] })
  assert.equal(line['path'], '/x?token=abc')
  const headers = line['headers'] as Record<string, string>
  assert.equal(headers['user-agent'], 'curl')
  assert.doesNotMatch(String(headers['authorization']), /abc/)
})

test('LineFile appends, and after reopen writes to the new file, losing nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-log-'))
  try {
    const path = join(folder, 'access.log')
    const file = await LineFile.open(path)
    for (let index = 0; index < 1_000; index++) file.write(`${index}\n`)
    await rename(path, `${path}.1`)
    await file.reopen()
    for (let index = 1_000; index < 2_000; index++) file.write(`${index}\n`)
    await file.close()
    const rotated = await readFile(`${path}.1`, 'utf8')
    const current = await readFile(path, 'utf8')
    const lines = (rotated + current).trimEnd().split('\n')
    assert.equal(lines.length, 2_000)
    assert.deepEqual(lines.map(Number), [...lines.keys()])
    assert.ok(current.startsWith('1000\n'))
    assert.equal(file.dropped, 0)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('LineFile drops and counts what is over maxBuffered', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-log-'))
  try {
    const file = await LineFile.open(join(folder, 'a'), { maxBuffered: 10 })
    file.write('12345678\n')
    file.write('1\n')
    assert.equal(file.dropped, 1)
    await file.close()
    assert.equal(await readFile(join(folder, 'a'), 'utf8'), '12345678\n')
  } finally {
    await rm(folder, { recursive: true })
  }
})
