import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DnsQuestion, decodeDnsAnswer, encodeDnsQuestion, recordsFor } from './dns-message.ts'

const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replace(/\s+/g, '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))

const HEAD = '0007 8180 0001' // id, an answer, one question
const NAME = '01 61 07 6578616d706c65 00' // a.example, at 12
const SRV = { id: 7, name: 'a.example', type: 'SRV' } as const satisfies DnsQuestion

test('encodeDnsQuestion asks with recursion and EDNS', () => {
  assert.deepEqual(
    [...encodeDnsQuestion(SRV)],
    [...hex(`0007 0100 0001 0000 0000 0001 ${NAME} 0021 0001 00 0029 04d0 00000000 0000`)],
  )
})

test('encodeDnsQuestion refuses names that DNS cannot hold', () => {
  const ask = (name: string) => encodeDnsQuestion({ ...SRV, name })
  ask('a'.repeat(63))
  ask(`${`${'a'.repeat(49)}.`.repeat(5)}abc.`)
  for (const name of [
    '',
    'a..b',
    'a'.repeat(64),
    `${'a'.repeat(50)}.`.repeat(5),
    'ü.example',
    'a b',
  ]) {
    assert.throws(() => ask(name), { code: 'ERR_ADDRESS_INVALID' }, name)
  }
})

test('decodeDnsAnswer reads SRV records with compressed names and their TTL', () => {
  // owner: the question's name; SRV, IN, 60 s, 12 bytes: priority 1, weight 2, port 8080, b.example
  const record = 'c00c 0021 0001 0000003c 000a 0001 0002 1f90 01 62 c00e'
  const answer = decodeDnsAnswer(hex(`${HEAD} 0001 0000 0000 ${NAME} 0021 0001 ${record}`))
  assert.deepEqual(recordsFor(answer, 'SRV'), [
    {
      type: 'SRV',
      name: 'a.example',
      ttl: 60,
      priority: 1,
      weight: 2,
      port: 8_080,
      target: 'b.example',
    },
  ])
})

test('recordsFor follows aliases, and nothing that was not asked for', () => {
  const records = [
    'c00c 0005 0001 00000005 0004 01 62 c00e', // a.example is b.example
    '01 62 c00e 0001 0001 00000005 0004 0a000001', // b.example: 10.0.0.1
    '01 63 c00e 0001 0001 00000005 0004 0a000002', // c.example: not asked for
    '01 62 c00e 001c 0001 00000005 0010 20010db8000000000000000000000001',
  ].join('')
  const answer = decodeDnsAnswer(hex(`${HEAD} 0004 0000 0000 ${NAME} 0001 0001 ${records}`))
  assert.deepEqual(
    recordsFor(answer, 'A').map((one) => one.address),
    ['10.0.0.1'],
  )
  assert.deepEqual(
    recordsFor(answer, 'AAAA').map((one) => one.address),
    ['2001:db8::1'],
  )
})

test('decodeDnsAnswer says how long a missing name may be remembered', () => {
  // SOA of example, 3600 s; the last number, its minimum, is 300
  const soa = `c00e 0006 0001 00000e10 0018 00 c00e ${'00000001'.repeat(4)} 0000012c`
  const fixed = soa.replace('0018', '0017')
  const answer = decodeDnsAnswer(hex(`0007 8183 0001 0000 0001 0000 ${NAME} 0021 0001 ${fixed}`))
  assert.deepEqual([answer.code, answer.negativeTtl, answer.records], [3, 300, []])
})

test('decodeDnsAnswer reads nothing of what was truncated', () => {
  const answer = decodeDnsAnswer(hex(`0007 8380 0001 0005 0000 0000 ${NAME} 0021 0001 c0`))
  assert.deepEqual([answer.truncated, answer.records], [true, []])
})

test('decodeDnsAnswer takes a TTL with the highest bit for none, and steps over other types', () => {
  const records = 'c00c 0001 0001 80000000 0004 0a000001 c00c 0010 0001 00000001 0002 01 61'
  const answer = decodeDnsAnswer(hex(`${HEAD} 0002 0000 0000 ${NAME} 0001 0001 ${records}`))
  assert.deepEqual(
    answer.records.map(({ ttl }) => ttl),
    [0],
  )
})

test('decodeDnsAnswer writes dots inside labels so that they are none', () => {
  const answer = decodeDnsAnswer(hex(`${HEAD} 0000 0000 0000 03 61 2e 62 00 0021 0001`))
  assert.equal(answer.name, 'a\\046b')
})

test('decodeDnsAnswer refuses what is no answer, circles, and lengths that lie', () => {
  const question = `${NAME} 0001 0001`
  const wrong: Record<string, string> = {
    'a question': `0007 0100 0001 0000 0000 0000 ${question}`,
    'two questions': '0007 8180 0002 0000 0000 0000',
    'a pointer to itself': `${HEAD} 0001 0000 0000 ${question} c01b 0001 0001 00000001 0004 0a000001`,
    'a pointer forwards': `${HEAD} 0001 0000 0000 ${question} c0ff`,
    'a label of an unknown kind': `${HEAD} 0000 0000 0000 40 00 0001 0001`,
    'a record longer than the message': `${HEAD} 0001 0000 0000 ${question} c00c 0001 0001 00000001 00ff 0a`,
    'more records than there are': `${HEAD} 0002 0000 0000 ${question} c00c 0001 0001 00000001 0004 0a000001`,
    'an address of three bytes': `${HEAD} 0001 0000 0000 ${question} c00c 0001 0001 00000001 0003 0a0000`,
    'a name that leaves its record': `${HEAD} 0001 0000 0000 ${question} c00c 0005 0001 00000001 0001 05`,
    nothing: '',
  }
  for (const [what, text] of Object.entries(wrong)) {
    assert.throws(() => decodeDnsAnswer(hex(text)), { name: 'ProtocolError' }, what)
  }
  const long = `${'3f'.padEnd(128, '61')}`.repeat(4)
  assert.throws(() => decodeDnsAnswer(hex(`${HEAD} 0000 0000 0000 ${long} 00 0001 0001`)), {
    message: /longer than 255 bytes/,
  })
})

test('decodeDnsAnswer follows 127 pointers of one name and no more', () => {
  // A chain of bare pointers in the data of a record of another type, each to the one before.
  const start = 12 + 11 + 4 + 12
  const answer = (jumps: number): Uint8Array => {
    const chain = Array.from({ length: 200 }, (_, at) => {
      return (0xc000 + (at === 0 ? 12 : start + 2 * (at - 1))).toString(16)
    }).join('')
    const last = (0xc000 + start + 2 * (jumps - 2)).toString(16)
    const text = `c00c 0010 0001 00000001 ${(400).toString(16).padStart(4, '0')} ${chain}`
    const owner = `${last} 0001 0001 00000001 0004 0a000001`
    return hex(`${HEAD} 0002 0000 0000 ${NAME} 0001 0001 ${text} ${owner}`)
  }
  assert.equal(decodeDnsAnswer(answer(127)).records[0]?.name, 'a.example')
  assert.throws(() => decodeDnsAnswer(answer(128)), { message: /jumps more than 127 times/ })
})
