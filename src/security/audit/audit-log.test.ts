import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { AccessEvent } from '../../core/access.ts'
import { Call } from '../../core/context.ts'
import { Secret } from '../../core/secret.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { readPublicKey } from './audit-checkpoint.ts'
import { type AuditFileSystem, nodeFileSystem } from './audit-file.ts'
import { AuditLog, type AuditLogOptions, auditKey } from './audit-log.ts'
import { canonical, readRecord } from './audit-record.ts'
import { type AuditReport, verifyAudit } from './audit-verify.ts'

const LOGIN: AccessEvent = {
  type: 'login',
  outcome: 'refused',
  method: 'basic',
  name: 'ada',
  reason: 'wrong password',
  address: '192.0.2.1',
  correlationId: 'r-1',
  connectionId: 7,
}
const DECISION: AccessEvent = {
  type: 'decision',
  outcome: 'denied',
  level: 'operation',
  action: 'DELETE',
  resource: '/users/1',
  principal: 'ada',
  method: 'basic',
  reason: 'no rule allows it',
  address: '192.0.2.1',
  correlationId: 'r-2',
  connectionId: 7,
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'heddle-audit-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function write(
  options: Partial<AuditLogOptions> & { path: string },
  count: number,
  clock = new ManualClock(),
): Promise<void> {
  await using audit = await AuditLog.open({ clock, ...options })
  for (let index = 0; index < count; index++) {
    audit.append({ type: 'test', principal: `p${index}`, reason: 'ä "quoted" \u0007' })
    await audit.flush()
  }
}

const logFiles = (path: string) =>
  readdirSync(path)
    .filter((name) => /^audit\.log(\.\d+)?$/.test(name))
    .sort()
    .map((name) => join(path, name))

test('AuditLog writes what was done, by whom, and binds each record to the one before', async (t) => {
  const path = join(folder(t), 'audit.log')
  const clock = new ManualClock()
  await using audit = await AuditLog.open({ path, clock })
  audit.onAccess(LOGIN)
  audit.onAccess(DECISION)
  audit.onAccess({ ...DECISION, outcome: 'allowed' }) // not by default
  audit.append({ type: 'reload', outcome: 'applied', detail: { z: 1, a: new Secret('canary') } })
  await audit.flush()
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.equal(records.length, 3)
  for (const [index, record] of records.entries()) {
    assert.equal(canonical(record), lines[index])
    assert.equal(record['seq'], index + 1)
    assert.equal(record['prev'], index === 0 ? '0'.repeat(64) : records[index - 1]?.['hash'])
  }
  const { hash: _hash, prev: _prev, ...first } = records[0] as Record<string, unknown>
  assert.deepEqual(first, {
    address: '192.0.2.1',
    alg: 'sha256',
    connection_id: 7,
    correlation_id: 'r-1',
    method: 'basic',
    outcome: 'refused',
    principal: 'ada',
    reason: 'wrong password',
    seq: 1,
    ts: new Date(clock.wallNow()).toISOString(),
    type: 'login',
  })
  assert.equal(records[1]?.['action'], 'DELETE')
  assert.deepEqual(records[2]?.['detail'], { a: '[redacted]', z: 1 })
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const report = await verifyAudit([path])
  assert.deepEqual([report.ok, report.records, report.lastSeq], [true, 3, 3])
})

test('AuditLog records logins and decisions as it is told', async (t) => {
  const path = folder(t)
  const cases: [Partial<AuditLogOptions>, number][] = [
    [{}, 3],
    [{ logins: 'refused' }, 2],
    [{ decisions: 'all' }, 4],
    [{ decisions: 'none', logins: 'refused' }, 1],
  ]
  for (const [index, [options, expected]] of cases.entries()) {
    const clock = new ManualClock()
    await using audit = await AuditLog.open({ path: join(path, `${index}`), clock, ...options })
    for (const outcome of ['accepted', 'refused'] as const) audit.onAccess({ ...LOGIN, outcome })
    for (const outcome of ['allowed', 'denied'] as const) audit.onAccess({ ...DECISION, outcome })
    assert.equal(audit.stats.records, expected, `${index}`)
  }
})

test('AuditLog bounds what a record holds', async (t) => {
  const path = join(folder(t), 'audit.log')
  await using audit = await AuditLog.open({ path, clock: new ManualClock() })
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  audit.append({ type: 't', reason: '\u0001'.repeat(100_000), detail: { x: 'y'.repeat(10_000) } })
  audit.append({ type: 't', detail: circular })
  await audit.flush()
  const [long = '', last = ''] = readFileSync(path, 'utf8').split('\n')
  assert.ok(long.length < 14_000)
  assert.deepEqual(JSON.parse(long).detail, { omitted: '10008 characters' })
  assert.deepEqual(JSON.parse(last).detail, { omitted: 'not JSON' })
  assert.equal((await verifyAudit([path])).ok, true)
})

test('AuditLog goes on with its chain over files and restarts', async (t) => {
  const path = folder(t)
  const options = { path: join(path, 'audit.log'), maxFileBytes: 600 }
  for (let start = 0; start < 4; start++) await write(options, 3)
  const files = logFiles(path)
  assert.deepEqual(
    files.map((file) => file.slice(path.length + 1)),
    ['audit.log', ...[1, 4, 7].map((seq) => `audit.log.${String(seq).padStart(12, '0')}`)],
  )
  const checkpoint = readFileSync(join(path, 'audit.log.checkpoint'), 'utf8')
  const report = await verifyAudit(files.toReversed(), { checkpoint })
  assert.deepEqual([report.ok, report.records, report.checkpoint], [true, 12, 12])
  // The crash came between putting the file aside and beginning the next one.
  rmSync(join(path, 'audit.log'))
  await write(options, 1)
  assert.match(readFileSync(join(path, 'audit.log'), 'utf8'), /"seq":10,/)
  // A file in the middle is gone; the first is gone; the first was archived, which is fine.
  const [current = '', one = '', two = '', three = ''] = files
  assert.match(
    String((await verifyAudit([one, three, current])).broken?.reason),
    /4 to 6 are missing/,
  )
  assert.equal((await verifyAudit([two, three, current])).broken?.kind, 'missing')
  assert.equal((await verifyAudit([two, three, current], { partial: true })).ok, true)
})

test('AuditLog cuts off a torn end after a crash, and records it', async (t) => {
  const path = join(folder(t), 'audit.log')
  await write({ path }, 3)
  const whole = readFileSync(path)
  for (const torn of ['{"action":"x', 'x', '{"seq":4}']) {
    writeFileSync(path, whole)
    appendFileSync(path, torn)
    const before = await verifyAudit([path])
    assert.deepEqual([before.broken?.kind, before.broken?.line], ['torn', 4])
    await write({ path }, 1)
    const records = readFileSync(path, 'utf8').trimEnd().split('\n')
    assert.deepEqual(JSON.parse(records[3] as string).detail, { torn_bytes: torn.length })
    assert.equal((await verifyAudit([path])).records, 5)
  }
})

test('AuditLog does not go on behind a record that is broken, nor with another key', async (t) => {
  const path = join(folder(t), 'audit.log')
  await write({ path }, 2)
  const good = readFileSync(path, 'utf8')
  writeFileSync(path, good.replace('"p1"', '"p9"'))
  const clock = new ManualClock()
  const broken = { code: 'ERR_CONFIG', message: /last record of .* is broken: its hash is not/ }
  await assert.rejects(AuditLog.open({ path, clock }), broken)
  writeFileSync(path, good)
  const key = randomBytes(32)
  const unkeyed = { code: 'ERR_CONFIG', message: /made without a key/ }
  await assert.rejects(AuditLog.open({ path, clock, key }), unkeyed)
  const folderInstead = AuditLog.open({ path: join(path, 'x'), clock })
  await assert.rejects(folderInstead, { code: 'ERR_CONFIG', message: /cannot be opened/ })
  const short = AuditLog.open({ path, clock, key: 'canary-short-key' })
  await assert.rejects(short, (error: Error) => {
    return /16 bytes, must have at least 32/.test(error.message) && !/canary/.test(error.message)
  })
  const wrong = AuditLog.open({ path, clock, signingKey: 'canary' })
  await assert.rejects(wrong, { code: 'ERR_CONFIG', message: /must be an Ed25519 key, PEM$/ })
})

/** A disk that takes only so many bytes. */
function smallDisk(): AuditFileSystem & { room: number } {
  const disk = {
    ...nodeFileSystem,
    room: 0,
    async openForAppend(path: string) {
      const handle = await nodeFileSystem.openForAppend(path)
      return {
        ...handle,
        async write(bytes: Buffer) {
          if (disk.room === 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
          const taken = await handle.write(bytes.subarray(0, disk.room))
          disk.room -= taken
          return taken
        },
      }
    },
  }
  return disk
}

test('AuditLog closes its gate while the disk is full, loses nothing, and opens it again', async (t) => {
  const path = join(folder(t), 'audit.log')
  const clock = new ManualClock()
  const disk = smallDisk()
  const states: (string | undefined)[] = []
  const audit = await AuditLog.open({
    path,
    clock,
    fileSystem: disk,
    maxQueueBytes: 4_000,
    onState: (error) => states.push(error?.message),
  })
  const call = audit.gate<string, string>()((request) => request)
  const context = new Call()
  disk.room = 100 // the middle of a line
  let admitted = 0
  while (audit.accepting && admitted < 100) {
    call('x', context)
    audit.append({ type: 'test', reason: 'x'.repeat(100) })
    admitted++
    while (!audit.stats.failing) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.throws(() => call('x', context), { code: 'ERR_SHED', message: /audit log cannot be/ })
  // What was under way when the gate closed is recorded still.
  assert.equal(audit.append({ type: 'test', outcome: 'late' }), true)
  assert.equal(audit.stats.dropped, 0)
  disk.room = 1_000_000
  await audit.flush()
  assert.equal(call('x', context), 'x')
  await audit.close()
  assert.deepEqual(states, ['ENOSPC', undefined])
  const report = await verifyAudit([path])
  assert.deepEqual([report.ok, report.records], [true, admitted + 1])
  assert.throws(() => call('x', context), { code: 'ERR_SHED' }, 'closed')
})

test('AuditLog that may drop counts what is missing, in the log too, and tries again by itself', async (t) => {
  const path = join(folder(t), 'audit.log')
  const clock = new ManualClock()
  const disk = smallDisk()
  const maxQueueBytes = 2_000
  const options = { path, clock, fileSystem: disk, maxQueueBytes, whenFull: 'drop' } as const
  const audit = await AuditLog.open(options)
  let appended = 0
  for (let index = 0; index < 20; index++) if (audit.append({ type: 'test' })) appended++
  assert.ok(appended > 3 && appended < 20)
  assert.equal(audit.accepting, true)
  assert.equal(audit.append({ type: 'stranger' }, { minor: true }), false)
  while (!audit.stats.failing) await new Promise((resolve) => setImmediate(resolve))
  disk.room = 1_000_000
  while (audit.stats.failing) {
    clock.advance(1_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  audit.append({ type: 'after' })
  await audit.close()
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  const dropped = lines.map((line) => JSON.parse(line)).find(({ type }) => type === 'dropped')
  assert.deepEqual(dropped.detail, { count: 20 - appended + 1 })
  assert.equal(audit.stats.dropped, 20 - appended + 1)
  assert.equal((await verifyAudit([path])).ok, true)
})

test('AuditLog keeps records of strangers out of the last half of the queue', async (t) => {
  const path = join(folder(t), 'audit.log')
  const disk = smallDisk()
  const audit = await AuditLog.open({
    path,
    clock: new ManualClock(),
    fileSystem: disk,
    maxQueueBytes: 10_000,
  })
  while (audit.append({ type: 'stranger' }, { minor: true }));
  assert.ok(audit.stats.queuedBytes >= 5_000 && audit.stats.queuedBytes < 6_000)
  assert.equal(audit.accepting, true, 'nobody closes the gate from outside')
  disk.room = 1_000_000
  await audit.close()
})

test('AuditLog writes checkpoints, signed, when there is something new', async (t) => {
  const path = join(folder(t), 'audit.log')
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const clock = new ManualClock()
  const key = randomBytes(32)
  const options = { path, clock, key, signingKey: privateKey, checkpointMs: 5_000 }
  const audit = await AuditLog.open(options)
  audit.append({ type: 'test' })
  await audit.flush()
  const first = readFileSync(`${path}.checkpoint`, 'utf8')
  audit.append({ type: 'test' })
  await audit.close()
  const checkpoint = readFileSync(`${path}.checkpoint`, 'utf8')
  assert.notEqual(checkpoint, first)
  const verifying = { key: auditKey(key), publicKey: readPublicKey(publicKey) }
  const verify = (text: string, more: object = {}) =>
    verifyAudit([path], { ...verifying, ...more, checkpoint: text })
  assert.equal((await verify(checkpoint)).checkpoint, 2)
  assert.equal((await verify(first)).checkpoint, 1)
  const forged = checkpoint.replace('"seq":2', '"seq":1')
  assert.match(String((await verify(forged)).broken?.reason), /its MAC is not that of the key/)
  const other = generateKeyPairSync('ed25519').publicKey
  assert.match(String((await verify(first, { publicKey: other })).broken?.reason), /signature/)
  const unsigned = canonical({ ...JSON.parse(checkpoint), signature: undefined })
  assert.match(String((await verify(unsigned)).broken?.reason), /not signed/)
  assert.match(String((await verify('nonsense')).broken?.reason), /not a checkpoint/)
  const keyless = await verifyAudit([path])
  assert.match(String(keyless.broken?.reason), /made with a key/)
})

test('AuditLog options have their limits', async (t) => {
  const path = join(folder(t), 'audit.log')
  for (const [name, value] of [
    ['checkpointMs', 0],
    ['maxFileBytes', 0],
    ['maxQueueBytes', 0],
    ['syncMs', 0],
  ] as const) {
    const opening = AuditLog.open({ path, clock: new ManualClock(), [name]: value })
    await assert.rejects(opening, { code: 'ERR_OPTION_RANGE', message: new RegExp(`${name} is 0`) })
  }
})

test('verifyAudit finds every change of a byte, and every line that is gone, doubled or moved', async (t) => {
  const path = folder(t)
  const file = join(path, 'audit.log')
  await write({ path: file }, 6)
  const good = readFileSync(file)
  const checkpoint = readFileSync(`${file}.checkpoint`, 'utf8')
  const lines = good.toString().trimEnd().split('\n')
  const found = async (bytes: Uint8Array | string): Promise<AuditReport> => {
    writeFileSync(file, bytes)
    return verifyAudit([file], { checkpoint })
  }
  const join_ = (some: readonly string[]) => `${some.join('\n')}\n`
  assert.equal((await found(good)).ok, true)
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const bytes = Buffer.from(good)
      bytes[at] = ((bytes[at] as number) + by) & 0xff
      assert.equal((await found(bytes)).ok, false, `byte ${at} plus ${by}`)
    }),
    { numRuns: 100 },
  )
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.string({ minLength: 1 }), async (at, text) => {
      const grown = Buffer.concat([good.subarray(0, at), Buffer.from(text), good.subarray(at)])
      assert.equal((await found(grown)).ok, false, `${JSON.stringify(text)} at ${at}`)
      assert.equal((await found(good.subarray(0, at))).ok, false, `cut at ${at}`)
    }),
    { numRuns: 30 },
  )
  for (let at = 0; at < lines.length; at++) {
    const without = await found(join_(lines.toSpliced(at, 1)))
    assert.equal(without.ok, false, `without ${at}`)
    const twice = await found(join_(lines.toSpliced(at, 0, lines[at] as string)))
    assert.deepEqual([twice.broken?.kind, twice.broken?.line], ['inserted', at + 2])
    for (let to = 0; to < lines.length; to++) {
      if (to === at) continue
      const moved = lines.toSpliced(at, 1).toSpliced(to, 0, lines[at] as string)
      assert.equal((await found(join_(moved))).ok, false, `${at} to ${to}`)
    }
  }
  const edited = await found(join_(lines.with(3, (lines[3] as string).replace('p3', 'px'))))
  assert.deepEqual(edited.broken, {
    file,
    line: 4,
    seq: 4,
    kind: 'edited',
    reason: 'its hash is not that of its content',
  })
  const missing = await found(join_(lines.toSpliced(2, 2)))
  assert.match(String(missing.broken?.reason), /records 3 to 4 are missing before it/)
})

test('readRecord says of a line that is nested without end that it is no record', () => {
  const nested = `${'['.repeat(60_000)}${']'.repeat(60_000)}`
  const line = `{"alg":"sha256","detail":${nested},"hash":"a","prev":"b","seq":1,"ts":"t","type":"x"}`
  assert.equal(readRecord(line, undefined), 'it is not a record')
})

test('verifyAudit finds a cut end by a checkpoint only, and says so', async (t) => {
  const file = join(folder(t), 'audit.log')
  await write({ path: file }, 5)
  const checkpoint = readFileSync(`${file}.checkpoint`, 'utf8')
  const lines = readFileSync(file, 'utf8').split('\n')
  truncateSync(file, Buffer.byteLength(`${lines.slice(0, 3).join('\n')}\n`))
  assert.equal((await verifyAudit([file])).ok, true)
  const report = await verifyAudit([file], { checkpoint })
  assert.equal(report.broken?.kind, 'truncated')
  assert.match(report.broken?.reason ?? '', /ends with record 3, the checkpoint knows record 5/)
  // Made anew from some record on, hashes and all: only a checkpoint of before knows.
  unlinkSync(file)
  await write(
    { path: file, checkpointPath: `${file}.other` },
    6,
    new ManualClock({ wallStartMs: 1 }),
  )
  assert.equal((await verifyAudit([file])).ok, true)
  const rewritten = await verifyAudit([file], { checkpoint })
  assert.match(rewritten.broken?.reason ?? '', /with another hash/)
})
