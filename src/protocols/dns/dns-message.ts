/**
 * DNS messages (RFC 1035), as much as a stub resolver needs: one question out, records in.
 *
 *     | id | flags | counts of 4 sections | question | answers | authorities | additional |
 *
 * Read are A, AAAA, CNAME, SRV (RFC 2782) and SOA, for how long a missing name may be remembered
 * (RFC 2308); other types are stepped over. A name that is compressed points backwards only, so that
 * no message makes a reader walk in circles.
 */
import { ByteReader } from '../../core/byte-reader.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import { ProtocolError, UsageError } from '../../core/errors.ts'

export const DNS_TYPES = Object.freeze({ A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33, OPT: 41 })
export type DnsQuestionType = 'A' | 'AAAA' | 'SRV'

export interface DnsQuestion {
  /** 0 to 65535, unpredictable: it and the port are what an answer is known by. */
  readonly id: number
  readonly name: string
  readonly type: DnsQuestionType
}

export interface DnsAnswer {
  readonly id: number
  /** The question as it came back. */
  readonly name: string
  readonly type: number
  /** 0: no error, 2: the server failed, 3: no such name, 5: refused. */
  readonly code: number
  /** It did not fit: ask again over TCP. */
  readonly truncated: boolean
  /** Records of the answer section, in their order. */
  readonly records: readonly DnsRecord[]
  /** How long "no such name" and "no such record" may be remembered; undefined: not told. */
  readonly negativeTtl: number | undefined
}

/** `ttl` in seconds. */
export type DnsRecord = { readonly name: string; readonly ttl: number } & (
  | { readonly type: 'A'; readonly address: string }
  | { readonly type: 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME'; readonly target: string }
  | {
      readonly type: 'SRV'
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }
)

/** @throws UsageError ERR_ADDRESS_INVALID for a name that DNS cannot hold */
export function encodeDnsQuestion({ id, name, type }: DnsQuestion): Uint8Array {
  const out = new ByteWriter()
  out.uint16(id)
  out.uint16(RECURSION_DESIRED)
  for (const count of [1, 0, 0, 1]) out.uint16(count)
  writeName(name, out)
  out.uint16(DNS_TYPES[type])
  out.uint16(CLASS_IN)
  // EDNS (RFC 6891): how much we take in one datagram.
  out.uint8(0)
  out.uint16(DNS_TYPES.OPT)
  out.uint16(UDP_BYTES)
  out.uint32(0)
  out.uint16(0)
  return out.take()
}

/** @throws ProtocolError for what is not an answer to one question */
export function decodeDnsAnswer(bytes: Uint8Array): DnsAnswer {
  const reader = new ByteReader(bytes)
  const id = reader.uint16()
  const flags = reader.uint16()
  if ((flags & RESPONSE) === 0) throw malformed('it is no answer')
  const [questions, answers, authorities] = [reader.uint16(), reader.uint16(), reader.uint16()]
  reader.skip(2)
  if (questions !== 1) throw malformed(`it has ${questions} questions`)
  const name = readName(bytes, reader)
  const type = reader.uint16()
  reader.skip(2)
  const truncated = (flags & TRUNCATED) !== 0
  const head = { id, name, type, code: flags & CODE, truncated }
  // What came of the rest is cut anywhere.
  if (truncated) return { ...head, records: [], negativeTtl: undefined }
  const records: DnsRecord[] = []
  // Each record is read from bytes that are there: a count that lies ends with them.
  for (let left = answers; left > 0; left--) {
    const record = readRecord(bytes, reader)
    if (record !== undefined && 'name' in record) records.push(record)
  }
  let negativeTtl: number | undefined
  for (let left = authorities; left > 0; left--) {
    const record = readRecord(bytes, reader)
    if (record !== undefined && !('name' in record)) negativeTtl = record.negativeTtl
  }
  return { ...head, records, negativeTtl }
}

/** The records of one type for the question's name, aliases followed. */
export function recordsFor<Type extends DnsRecord['type']>(
  { name, records }: DnsAnswer,
  type: Type,
): Extract<DnsRecord, { type: Type }>[] {
  const names = new Set([name.toLowerCase()])
  const found: Extract<DnsRecord, { type: Type }>[] = []
  // Servers put an alias before what it leads to.
  for (const record of records) {
    if (!names.has(record.name.toLowerCase())) continue
    if (record.type === 'CNAME') names.add(record.target.toLowerCase())
    if (record.type === type) found.push(record as Extract<DnsRecord, { type: Type }>)
  }
  return found
}

function readRecord(
  bytes: Uint8Array,
  reader: ByteReader,
): DnsRecord | { readonly negativeTtl: number } | undefined {
  const name = readName(bytes, reader)
  const type = reader.uint16()
  reader.skip(2)
  // The highest bit means that it is not meant (RFC 2181, section 8).
  const seconds = reader.uint32()
  const ttl = seconds > MAX_TTL ? 0 : seconds
  const length = reader.uint16()
  const start = reader.position
  if (length > reader.length) throw malformed('a record is longer than the message')
  const data = new ByteReader().reset(bytes, start, start + length)
  reader.skip(length)
  switch (type) {
    case DNS_TYPES.A:
      return { type: 'A', name, ttl, address: [...data.copy(4)].join('.') }
    case DNS_TYPES.AAAA:
      return { type: 'AAAA', name, ttl, address: ipv6Text(data) }
    case DNS_TYPES.CNAME:
      return { type: 'CNAME', name, ttl, target: readName(bytes, data) }
    case DNS_TYPES.SRV: {
      const [priority, weight, port] = [data.uint16(), data.uint16(), data.uint16()]
      return { type: 'SRV', name, ttl, priority, weight, port, target: readName(bytes, data) }
    }
    case DNS_TYPES.SOA: {
      readName(bytes, data)
      readName(bytes, data)
      data.skip(16)
      return { negativeTtl: Math.min(ttl, data.uint32()) }
    }
    default:
      return undefined
  }
}

/**
 * @param reader of the message itself, or of one record in it; positions are those of the message
 * @throws ProtocolError for a name that is too long, or points forwards
 */
function readName(bytes: Uint8Array, reader: ByteReader): string {
  const labels: string[] = []
  let length = 0
  let jumps = 0
  let from = reader
  let before = reader.position
  for (;;) {
    const size = from.uint8()
    if (size === 0) break
    if ((size & POINTER) === POINTER) {
      const target = ((size & ~POINTER) << 8) | from.uint8()
      if (target >= before) throw malformed('a name points forwards')
      if (++jumps > MAX_JUMPS) throw malformed(`a name jumps more than ${MAX_JUMPS} times`)
      before = target
      from = new ByteReader().reset(bytes, target, bytes.length)
      continue
    }
    if ((size & POINTER) !== 0) throw malformed('a label is of an unknown kind')
    length += size + 1
    if (length > MAX_NAME) throw malformed(`a name is longer than ${MAX_NAME} bytes`)
    labels.push(escapeLabel(from.latin1(size)))
  }
  return labels.join('.')
}

function writeName(name: string, out: ByteWriter): void {
  const labels = name.replace(/\.$/, '').split('.')
  const length = labels.reduce((sum, label) => sum + label.length + 1, 1)
  if (length > MAX_NAME || labels.some((label) => !/^[!-~]{1,63}$/.test(label))) {
    throw new UsageError('ERR_ADDRESS_INVALID', `'${name}' is not a name of DNS`)
  }
  for (const label of labels) {
    out.uint8(label.length)
    out.latin1(label)
  }
  out.uint8(0)
}

/** A dot or a control character inside a label must not look like another name. */
function escapeLabel(label: string): string {
  return label.replace(/[^!-~]|[.\\]/g, (character) => {
    return `\\${String(character.charCodeAt(0)).padStart(3, '0')}`
  })
}

function ipv6Text(data: ByteReader): string {
  const groups = Array.from({ length: 8 }, () => data.uint16().toString(16))
  // The longest run of zeros, of at least two (RFC 5952).
  let [from, run] = [0, 0]
  for (let at = 0; at < 8; at++) {
    let end = at
    while (groups[end] === '0') end++
    if (end - at > run) [from, run] = [at, end - at]
  }
  if (run < 2) return groups.join(':')
  return `${groups.slice(0, from).join(':')}::${groups.slice(from + run).join(':')}`
}

function malformed(why: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', `a DNS message cannot be read: ${why}`)
}

const RESPONSE = 0x8000
const TRUNCATED = 0x0200
const RECURSION_DESIRED = 0x0100
const CODE = 0x000f
const CLASS_IN = 1
const POINTER = 0xc0
const MAX_NAME = 255
/** More than a name of one letter a label can need; a chain of bare pointers ends here. */
const MAX_JUMPS = 127
const MAX_TTL = 0x7fff_ffff
/** What passes everywhere unfragmented (https://dnsflagday.net/2020/). */
const UDP_BYTES = 1_232
