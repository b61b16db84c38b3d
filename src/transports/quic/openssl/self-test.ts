/**
 * Whether QUIC works in this process, found out before anybody relies on it: the functions are
 * there, their version is one whose structures we know, and two endpoints in memory finish a
 * handshake with each other and echo a message. No socket is opened; it takes some milliseconds.
 */
import { endianness } from 'node:os'
import { type Address, memory } from '../../../core/address.ts'
import type { DatagramHandler, DatagramSocket } from '../../../core/datagram-socket.ts'
import { toError } from '../../../core/errors.ts'
import {
  nodeVersion,
  operatingSystem,
  processor,
  usesSharedOpenssl,
} from '../../../platform/process-access.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import type { DrivenSettings } from '../quic-driver.ts'
import { defaultCodeOf } from '../quic-errors.ts'
import { CarrierAttachment } from './carrier-attachment.ts'
import { ConnectionHandle } from './connection-handle.ts'
import { dialConnection } from './dial.ts'
import { Endpoint } from './endpoint.ts'
import { loadKoffi, Openssl } from './openssl.ts'
import { OpensslConnection } from './quic-connection.ts'
import { selfSigned } from './self-test-certificate.ts'
import { TlsContext } from './tls-context.ts'

export interface OpensslProbe {
  /** Undefined: it does not work here. */
  readonly openssl: Openssl | undefined
  /** Why not, in words. */
  readonly reason: string | undefined
  readonly details: Readonly<Record<string, string>>
}

/** Once for each thread; the answer does not change. */
export function probeOpenssl(): OpensslProbe {
  probe ??= runProbe()
  return probe
}

let probe: OpensslProbe | undefined

/** What the machine is, as far as it matters here. */
export interface ProbedMachine {
  readonly node: string
  readonly platform: string
  readonly processor: string
  readonly littleEndian: boolean
  readonly sharedOpenssl: boolean
}

/** Why it cannot work on such a machine, known without loading anything. */
export function obstacleOf(machine: ProbedMachine): string | undefined {
  const { node, platform, processor: arch } = machine
  if (Number(node.split('.')[0]) < LEAST_NODE) {
    return `the OpenSSL of Node ${node} has no QUIC: it needs Node ${LEAST_NODE} or newer`
  }
  if (platform === 'win32') {
    return 'node.exe does not export the QUIC functions of its OpenSSL on Windows'
  }
  if (machine.sharedOpenssl) {
    return 'this Node uses the OpenSSL of the system, whose QUIC was never tried'
  }
  if (!machine.littleEndian || !/64/.test(arch)) {
    return `structures are known for 64-bit little-endian machines, not for ${arch}`
  }
  return undefined
}

function runProbe(): OpensslProbe {
  const machine: ProbedMachine = {
    node: nodeVersion,
    platform: operatingSystem,
    processor,
    littleEndian: endianness() === 'LE',
    sharedOpenssl: usesSharedOpenssl(),
  }
  const details: Record<string, string> = {
    node: machine.node,
    platform: `${machine.platform}-${machine.processor}`,
  }
  const not = (reason: string): OpensslProbe => ({ openssl: undefined, reason, details })
  const obstacle = obstacleOf(machine)
  if (obstacle !== undefined) return not(obstacle)
  const koffi = loadKoffi()
  if (koffi instanceof Error) {
    return not(`the optional package koffi cannot be loaded: ${firstLine(koffi)}`)
  }
  details['koffi'] = koffi.version
  try {
    const openssl = new Openssl(koffi)
    details['openssl'] = openssl.f.OpenSSL_version(0) ?? 'unknown'
    const wrong = wrongVersion(Number(openssl.f.OpenSSL_version_num()))
    if (wrong !== undefined) return not(wrong)
    checkHandshake(openssl)
    return { openssl, reason: undefined, details }
  } catch (error) {
    return not(`the self-test failed: ${firstLine(toError(error))}`)
  }
}

/** @param version as OPENSSL_VERSION_NUMBER: 0xMNN00PP0 */
export function wrongVersion(version: number): string | undefined {
  const major = Math.floor(version / 2 ** 28)
  const minor = Math.floor(version / 2 ** 20) % 256
  if (major === 3 && minor >= LEAST_OPENSSL_3) return undefined
  return `it needs OpenSSL 3.${LEAST_OPENSSL_3} or a later 3.x, and this is ${major}.${minor}`
}

/** @throws Error when a handshake and an echo in memory do not come about */
function checkHandshake(openssl: Openssl): void {
  const { certificate, key } = selfSigned('self.test', systemClock.wallNow())
  const alpn = ['heddle-self-test']
  const base = { alpn, clientCertificates: 'none', verify: true } as const
  const client = new DirectSocket('client')
  const server = new DirectSocket('server')
  const accepted: OpensslConnection[] = []
  using serverContext = new TlsContext(openssl, {
    ...base,
    role: 'server',
    ca: undefined,
    credentials: { certificate, key },
  })
  using clientContext = new TlsContext(openssl, {
    ...base,
    role: 'client',
    ca: [certificate],
    credentials: undefined,
  })
  const common: Omit<DrivenSettings, 'role' | 'remote' | 'serverName' | 'onSettled'> = {
    transport: 'quic',
    ownAlpn: undefined,
    idleTimeoutMs: 5_000,
    highWaterMarkBytes: 65_536,
    maxAcceptedStreams: 10,
    maxConcurrentStreams: 10,
    codeOf: defaultCodeOf,
  }
  let failure: Error | undefined
  const onSettled = (error: Error | undefined) => {
    failure ??= error
  }
  const serverEnd = new Endpoint(openssl, serverContext, new CarrierAttachment(openssl, server), {
    listens: true,
    retry: true,
    onIncoming: (ssl, from) => {
      const remote = from as Address
      new ConnectionHandle(openssl, ssl).prepare(common.idleTimeoutMs)
      const settings = { ...common, role: 'accepting', remote, serverName: undefined } as const
      const peer = serverEnd.attachment.peer(remote)
      accepted.push(new OpensslConnection(serverEnd, ssl, peer, { ...settings, onSettled }))
    },
  })
  const clientEnd = new Endpoint(openssl, clientContext, new CarrierAttachment(openssl, client), {
    listens: false,
    retry: false,
  })
  try {
    const remote = server.address
    const settings = { ...common, role: 'initiating', remote, serverName: 'self.test' } as const
    const dialled = dialConnection(clientEnd, undefined, { ...settings, onSettled })
    const both = () => dialled.isOpen && accepted[0]?.isOpen === true
    // Rounds cost microseconds, but a packet that comes before its keys is sent again by a timer.
    const deadline = systemClock.now() + MAX_MS
    while (failure === undefined && !both() && systemClock.now() < deadline) {
      clientEnd.process()
      client.deliverTo(server)
      serverEnd.process()
      server.deliverTo(client)
    }
    if (failure !== undefined) throw failure
    if (!both()) throw new Error('two endpoints in memory did not connect')
    if (accepted[0]?.facts.remote !== client.address) throw new Error('the peer is not known')
    if (dialled.facts.tls?.alpn !== alpn[0]) throw new Error('no application protocol was agreed')
  } finally {
    clientEnd.closeNow()
    serverEnd.closeNow()
  }
}

/** A socket whose datagrams somebody carries by hand. */
class DirectSocket implements DatagramSocket {
  readonly address: Address
  readonly remote = undefined
  readonly maxPayloadBytes = 65_507
  readonly droppedCount = 0
  #handler: DatagramHandler | undefined
  #sent: Uint8Array[] = []

  constructor(name: string) {
    this.address = memory(name)
  }

  open(handler: DatagramHandler): void {
    this.#handler = handler
  }

  send(payload: Uint8Array): boolean {
    this.#sent.push(payload.slice())
    return true
  }

  deliverTo(other: DirectSocket): void {
    for (const payload of this.#sent.splice(0)) other.#handler?.onDatagram(payload, this.address)
  }

  pause(): void {}
  resume(): void {}
  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0] as string
}

const LEAST_NODE = 22
const LEAST_OPENSSL_3 = 5
/** Of the thread that asks first: a machine that works needs a hundredth. */
const MAX_MS = 3_000
