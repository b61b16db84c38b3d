/**
 * Asking name servers ourselves, where Node's resolver leaves out what is needed: the TTL of SRV
 * records.
 *
 * Each question goes from a socket of its own, so that its port is as unpredictable as its id, and
 * only the server that was asked is heard. An answer that does not fit a datagram is asked for again
 * over TCP. Servers are asked in turn; one that fails or refuses passes the question on, one that
 * says that there is nothing is believed.
 */
import { createSocket } from 'node:dgram'
import { getServers } from 'node:dns'
import { isIPv6 } from 'node:net'
import { type IpAddress, parseAddress } from '../core/address.ts'
import type { Clock } from '../core/clock.ts'
import type { Connection } from '../core/connection.ts'
import { ProtocolError, TransportError, toError } from '../core/errors.ts'
import type { Host } from '../core/host.ts'
import {
  DNS_TYPES,
  type DnsAnswer,
  type DnsQuestion,
  type DnsQuestionType,
  decodeDnsAnswer,
  encodeDnsQuestion,
} from '../protocols/dns/dns-message.ts'
import { tcp } from '../transports/tcp/tcp.ts'

export interface DnsQueryOptions {
  /** `address` or `address:port`; undefined: the system's. */
  readonly servers: readonly string[] | undefined
  readonly queryTimeoutMs: number
  /** Times that every server is asked. */
  readonly tries: number
  readonly clock: Clock
  readonly host: Host
}

/** @throws an `Error` with a code of `node:dns`: ENOTFOUND, ENODATA, ESERVFAIL, ETIMEOUT … */
export async function queryDns(
  name: string,
  type: DnsQuestionType,
  options: DnsQueryOptions,
): Promise<DnsAnswer> {
  const servers = (options.servers ?? getServers()).map(serverAddress)
  let failure: unknown = codedError('ECONNREFUSED')
  for (let attempt = 0; attempt < options.tries; attempt++) {
    for (const server of servers) {
      try {
        const answer = await askOne(server, name, type, options)
        if (answer.code === NO_ERROR) return answer
        if (answer.code === NO_SUCH_NAME) throw new DefinitiveAnswer()
        failure = codedError(CODES.get(answer.code) ?? 'ESERVFAIL')
      } catch (error) {
        if (error instanceof DefinitiveAnswer) throw codedError('ENOTFOUND')
        failure = error
      }
    }
  }
  throw failure
}

class DefinitiveAnswer extends Error {}

async function askOne(
  server: IpAddress,
  name: string,
  type: DnsQuestionType,
  options: DnsQueryOptions,
): Promise<DnsAnswer> {
  const id = new Uint8Array(2)
  options.host.randomBytes(id)
  const question = { id: ((id[0] as number) << 8) | (id[1] as number), name, type }
  const answer = await askByUdp(server, question, options)
  return answer.truncated ? askByTcp(server, question, options) : answer
}

function askByUdp(
  server: IpAddress,
  question: DnsQuestion,
  { clock, queryTimeoutMs }: DnsQueryOptions,
): Promise<DnsAnswer> {
  const message = encodeDnsQuestion(question)
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4')
    const timer = clock.setTimer(clock.now() + queryTimeoutMs, () => {
      settle(() => reject(codedError('ETIMEOUT')))
    })
    let settled = false
    const settle = (tell: () => void): void => {
      if (settled) return
      settled = true
      timer.cancel()
      socket.close()
      tell()
    }
    socket.on('error', (error) => settle(() => reject(error)))
    socket.on('message', (bytes) => {
      // What does not answer this question is somebody's attempt to be believed: not heard.
      const answer = answerTo(question, bytes)
      if (answer !== undefined) settle(() => resolve(answer))
    })
    // Connected: the kernel drops what others send, and tells when nobody listens.
    socket.connect(server.port, server.host, () => {
      if (!settled) socket.send(message)
    })
  })
}

async function askByTcp(
  server: IpAddress,
  question: DnsQuestion,
  { clock, queryTimeoutMs }: DnsQueryOptions,
): Promise<DnsAnswer> {
  const message = encodeDnsQuestion(question)
  const deadline = clock.now() + queryTimeoutMs
  const connection = await tcp({ clock }).connect(server, { deadline })
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(deadline, () => over(codedError('ETIMEOUT')))
    const over = (outcome: Error | DnsAnswer): void => {
      timer.cancel()
      connection.destroy()
      if (outcome instanceof Error) reject(outcome)
      else resolve(outcome)
    }
    readOne(connection, over, question)
    const framed = new Uint8Array(2 + message.length)
    framed.set([message.length >> 8, message.length & 0xff])
    framed.set(message, 2)
    connection.write(framed)
  })
}

/** One message behind its two bytes of length: 65,535 bytes at most. */
function readOne(
  connection: Connection,
  over: (outcome: Error | DnsAnswer) => void,
  question: DnsQuestion,
): void {
  let bytes: Uint8Array = new Uint8Array(0)
  connection.open({
    onData(chunk) {
      const whole = new Uint8Array(bytes.length + chunk.length)
      whole.set(bytes)
      whole.set(chunk, bytes.length)
      bytes = whole
      if (bytes.length < 2) return
      const length = ((bytes[0] as number) << 8) | (bytes[1] as number)
      if (bytes.length < 2 + length) return
      const answer = answerTo(question, bytes.subarray(2, 2 + length))
      over(answer ?? new ProtocolError('ERR_MALFORMED', 'a name server answered something else'))
    },
    onDrain() {},
    onEnd: () => over(codedError('ECONNREFUSED')),
    onClose: (reason) => over(reason ?? codedError('ECONNREFUSED')),
  })
}

function answerTo(question: DnsQuestion, bytes: Uint8Array): DnsAnswer | undefined {
  try {
    const answer = decodeDnsAnswer(bytes)
    const same = answer.name.toLowerCase() === question.name.replace(/\.$/, '').toLowerCase()
    const asked = answer.id === question.id && answer.type === DNS_TYPES[question.type]
    return asked && same ? answer : undefined
  } catch {
    return undefined
  }
}

function serverAddress(text: string): IpAddress {
  const bare = isIPv6(text) ? `[${text}]` : text
  const address = parseAddress(bare, DNS_PORT)
  if (address.kind === 'ip') return address
  throw new TransportError('ERR_RESOLVE', `name server '${text}' is not an address`)
}

function codedError(code: string): Error {
  const error: NodeJS.ErrnoException = toError(new Error(`query: ${code}`))
  error.code = code
  return error
}

const DNS_PORT = 53
const NO_ERROR = 0
const NO_SUCH_NAME = 3
const CODES: ReadonlyMap<number, string> = new Map([
  [1, 'EFORMERR'],
  [2, 'ESERVFAIL'],
  [4, 'ENOTIMP'],
  [5, 'EREFUSED'],
])
