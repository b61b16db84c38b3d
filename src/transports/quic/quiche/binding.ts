/**
 * quiche in the addon of `@currentspace/http3`, which users install beside heddle: loaded when it
 * is first asked for, of one version, and with a reason where it is not there.
 *
 * The classes of the package itself put a `Duplex` and its own buffers around each stream, and keep
 * codes, certificates and what a write was answered to themselves. So its addon is used as it is:
 * `index.js` beside `dist`, whose declarations the package ships. That is inside another's house,
 * hence the exact version.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { toError } from '../../../core/errors.ts'
import {
  isMainThread,
  nodeVersion,
  operatingSystem,
  processor,
} from '../../../platform/process-access.ts'

export interface QuicheBinding {
  readonly NativeQuicClient: new (options: object, callback: NativeCallback) => NativeClient
  readonly NativeQuicServer: new (options: object, callback: NativeCallback) => NativeServer
  version(): string
}

export type NativeCallback = (error: Error | null, events: readonly NativeEvent[]) => void

interface NativeWorker {
  requestShutdown(): boolean
  /** After SHUTDOWN was told: ends the thread and lets the process go. */
  joinWorker(): void
  /** For every batch of events that was taken. */
  ackEventBatch(count: number): void
}

export interface NativeClient extends NativeWorker {
  connect(address: string, serverName: string): NativeAddress
  /** @throws where the peer's limit is reached */
  openStream(): number
  streamSend(stream: number, data: Buffer, fin: boolean): SendOutcome
  streamClose(stream: number, code: number): boolean
  close(code: number, reason: string): boolean
  sendDatagram(data: Buffer): boolean
  getSessionMetrics(): NativeMetrics
  ping(): boolean
}

export interface NativeServer extends NativeWorker {
  listen(port: number, host: string): NativeAddress
  streamSend(connection: number, stream: number, data: Buffer, fin: boolean): SendOutcome
  streamClose(connection: number, stream: number, code: number): boolean
  closeSession(connection: number, code: number, reason: string): boolean
  sendDatagram(connection: number, data: Buffer): boolean
  getSessionMetrics(connection: number): NativeMetrics
  pingSession(connection: number): boolean
}

export interface NativeAddress {
  readonly address: string
  readonly port: number
}

/** `status` 0: taken, as far as `written` says. */
export interface SendOutcome {
  readonly status: number
  readonly written: number
}

export interface NativeMetrics {
  readonly rttMs: number
  /** Largest UDP payload that the path was found to carry. */
  readonly pmtu: number
  readonly datagramQueueDepth: number
}

export interface NativeEvent {
  readonly eventType: number
  /** Of a server's connection; used again once it has closed. */
  readonly connHandle: number
  readonly streamId: number
  /** Ours from here on. */
  readonly data?: Uint8Array
  readonly fin?: boolean
  readonly meta?: {
    readonly errorCode?: number
    readonly errorReason?: string
    readonly remoteAddr?: string
    readonly remotePort?: number
    readonly peerCertificatePresented?: boolean
    readonly peerCertificateChain?: readonly Uint8Array[]
  }
}

export const NEW_SESSION = 1
export const NEW_STREAM = 2
export const DATA = 4
export const FINISHED = 5
export const RESET = 6
export const SESSION_CLOSE = 7
export const DRAIN = 8
export const ERROR = 10
export const HANDSHAKE_COMPLETE = 11
export const SESSION_TICKET = 12
export const DATAGRAM = 14
export const SHUTDOWN_COMPLETE = 15
export const STREAM_BLOCKED = 16
export const WRITE_READY = 18

export interface QuicheProbe {
  readonly binding: QuicheBinding | undefined
  /** Why there is none. */
  readonly reason: string | undefined
  readonly details: Readonly<Record<string, string>>
}

/** Looks once. */
export function probeQuiche(): QuicheProbe {
  probed ??= probe()
  return probed
}

/** What of a machine decides. */
export interface QuicheMachine {
  readonly node: string
  readonly platform: string
  readonly processor: string
  readonly mainThread: boolean
}

/** @returns why the addon cannot work there, or undefined */
export function quicheObstacle(machine: QuicheMachine): string | undefined {
  const { node, platform } = machine
  if (Number.parseInt(node, 10) < 24) return `${PACKAGE} needs Node 24 or later; this is ${node}`
  const target = `${platform}-${machine.processor}`
  if (!TARGETS.includes(target)) return `${PACKAGE} has no binary for ${target}`
  // What becomes of its threads when a worker is terminated was not found out.
  if (!machine.mainThread) return `${PACKAGE} is not used in worker threads`
  return undefined
}

/** @returns why that version is not used, or undefined */
export function wrongQuicheVersion(version: unknown): string | undefined {
  if (version === VERSION) return undefined
  return `${PACKAGE} is ${String(version)}, and only ${VERSION} was tested: install ${PACKAGE}@${VERSION}`
}

function probe(): QuicheProbe {
  const details = { node: nodeVersion, package: `${PACKAGE} ${VERSION}` }
  const missing = (reason: string): QuicheProbe => ({ binding: undefined, reason, details })
  const obstacle = quicheObstacle({
    node: nodeVersion,
    platform: operatingSystem,
    processor,
    mainThread: isMainThread,
  })
  if (obstacle !== undefined) return missing(obstacle)
  const require = createRequire(import.meta.url)
  let folder: string
  try {
    folder = dirname(dirname(require.resolve(PACKAGE)))
  } catch {
    return missing(`${PACKAGE} is not installed: npm install ${PACKAGE}@${VERSION}`)
  }
  try {
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const wrong = wrongQuicheVersion(version)
    if (wrong !== undefined) return missing(wrong)
    const binding = require(join(folder, 'index.js')) as Partial<QuicheBinding>
    for (const name of ['NativeQuicClient', 'NativeQuicServer'] as const) {
      if (typeof binding[name] !== 'function') return missing(`${PACKAGE} lacks ${name}`)
    }
    return { binding: binding as QuicheBinding, reason: undefined, details }
  } catch (error) {
    return missing(`${PACKAGE} cannot be loaded: ${toError(error).message}`)
  }
}

let probed: QuicheProbe | undefined

const PACKAGE = '@currentspace/http3'
const VERSION = '0.9.0'
const TARGETS: readonly string[] = ['linux-x64', 'linux-arm64', 'darwin-arm64']
