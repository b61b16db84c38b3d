/** Questions to name servers that are made up, over real sockets on loopback. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { nodeHost } from '../platform/node-host.ts'
import { systemClock } from '../platform/system-clock.ts'
import { recordsFor } from '../protocols/dns/dns-message.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { type DnsQueryOptions, queryDns } from './dns-query.ts'

type Reply = (question: Buffer, send: (answer: Buffer) => void) => void

async function server(t: TestContext, reply: Reply): Promise<{ port: number; asked: number[] }> {
  const socket: Socket = createSocket('udp4')
  const asked: number[] = []
  socket.on('message', (question, from) => {
    asked.push(from.port)
    reply(question, (answer) => socket.send(answer, from.port, from.address))
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { port: socket.address().port, asked }
}

function optionsFor(
  ports: readonly number[],
  more: Partial<DnsQueryOptions> = {},
): DnsQueryOptions {
  return {
    servers: ports.map((port) => `127.0.0.1:${port}`),
    queryTimeoutMs: 5_000,
    tries: 1,
    clock: systemClock,
    host: nodeHost,
    ...more,
  }
}

/** The question as an answer: flags, and records behind the question. */
function answerTo(question: Buffer, flags: number, records: readonly string[] = []): Buffer {
  const end = question.indexOf(0, 12) + 5
  const head = Buffer.from(question.subarray(0, end))
  head.writeUInt16BE(flags, 2)
  head.writeUInt16BE(records.length, 6)
  head.writeUInt16BE(0, 10)
  return Buffer.concat([head, ...records.map((record) => Buffer.from(record, 'hex'))])
}

const OK = 0x8180
const TRUNCATED = 0x8380
const FAILED = 0x8182
const MISSING = 0x8183
const REFUSED = 0x8185
/** The question's name, SRV, 60 s: 1 2 8080 b. */
const SRV = 'c00c002100010000003c0009000100021f90016200'
const NAME = '_http._tcp.example'

test('queryDns does not hear answers to other questions', async (t) => {
  const { port } = await server(t, (question, send) => {
    const wrongId = answerTo(question, OK, [SRV])
    wrongId.writeUInt16BE(question.readUInt16BE(0) ^ 1, 0)
    const wrongName = answerTo(question, OK, [SRV])
    wrongName[13] = 0x78
    const right = answerTo(question, OK, [SRV, SRV])
    for (const answer of [Buffer.from('noise'), wrongId, wrongName, question, right]) send(answer)
  })
  const answer = await queryDns(NAME, 'SRV', optionsFor([port]))
  assert.equal(recordsFor(answer, 'SRV').length, 2)
})

test('queryDns asks again over TCP when the answer was truncated', async (t) => {
  const { port } = await server(t, (question, send) => send(answerTo(question, TRUNCATED)))
  const stream = createServer((socket) => {
    socket.once('data', (framed: Buffer) => {
      const answer = answerTo(framed.subarray(2), OK, Array(50).fill(SRV))
      const length = Buffer.alloc(2)
      length.writeUInt16BE(answer.length)
      // In parts, as TCP may.
      socket.write(length.subarray(0, 1))
      socket.write(Buffer.concat([length.subarray(1), answer.subarray(0, 100)]))
      socket.end(answer.subarray(100))
    })
  })
  stream.listen(port, '127.0.0.1')
  await once(stream, 'listening')
  t.after(() => stream.close())
  const answer = await queryDns(NAME, 'SRV', optionsFor([port]))
  assert.equal(recordsFor(answer, 'SRV').length, 50)
})

test('queryDns asks the next server after a failure, and believes one that knows of nothing', async (t) => {
  const failing = await server(t, (question, send) => send(answerTo(question, FAILED)))
  const refusing = await server(t, (question, send) => send(answerTo(question, REFUSED)))
  const right = await server(t, (question, send) => send(answerTo(question, OK, [SRV])))
  const missing = await server(t, (question, send) => send(answerTo(question, MISSING)))
  const ports = [failing.port, refusing.port, right.port]
  await queryDns(NAME, 'SRV', optionsFor(ports))
  await assert.rejects(queryDns(NAME, 'SRV', optionsFor([failing.port, refusing.port])), {
    code: 'EREFUSED',
  })
  const before = right.asked.length
  const both = optionsFor([missing.port, right.port], { tries: 3 })
  await assert.rejects(queryDns(NAME, 'SRV', both), { code: 'ENOTFOUND' })
  assert.equal(right.asked.length, before)
})

test('queryDns gives a silent server queryTimeoutMs, tries times, each from another port', async (t) => {
  const clock = new ManualClock()
  let heard = (): void => {}
  const { port, asked } = await server(t, () => heard())
  const options = optionsFor([port], { clock, tries: 2, queryTimeoutMs: 2_000 })
  const answer = queryDns(NAME, 'SRV', options)
  const refused = assert.rejects(answer, { code: 'ETIMEOUT' })
  for (let attempt = 0; attempt < 2; attempt++) {
    await new Promise<void>((resolve) => {
      heard = resolve
    })
    clock.advance(2_000)
  }
  await refused
  assert.equal(new Set(asked).size, 2)
  assert.equal(clock.pendingTimers, 0)
})

test('queryDns refuses a name server that is no address', async () => {
  const wrong = { ...optionsFor([]), servers: ['unix:/x'] }
  await assert.rejects(queryDns(NAME, 'SRV', wrong), { code: 'ERR_RESOLVE' })
})
