/**
 * From an address to a connected `net.Socket` that reads nothing yet: names, Happy Eyeballs, the
 * time limit, aborting. TCP and TLS both begin here.
 */
import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, Socket } from 'node:net'
import { type Address, formatAddress, type IpAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { TimeoutError, toError, UsageError } from '../../core/errors.ts'
import type { ConnectOptions } from '../../core/transport.ts'
import { connectError } from '../node-stream/system-errors.ts'
import {
  interleaveFamilies,
  type Lookup,
  type PendingAttempt,
  type ResolvedAddress,
  raceAddresses,
} from './happy-eyeballs.ts'
import type { ResolvedTcpOptions } from './tcp-options.ts'

/** Rejects with a heddle error, or with the caller's abort reason. */
export async function connectSocket(
  address: Address,
  tcp: ResolvedTcpOptions,
  clock: Clock,
  options: ConnectOptions,
): Promise<Socket> {
  return withTimeLimit(address, tcp.connectTimeoutMs, clock, options, async (signal) => {
    const to = requireIp(address)
    try {
      const addresses = await resolve(to, tcp, signal)
      return await raceAddresses({
        addresses,
        attempt: (resolved, onConnected, onFailed) =>
          attemptSocket(resolved, to.port, tcp, onConnected, onFailed),
        attemptDelayMs: tcp.attemptDelayMs,
        clock,
        signal,
      })
    } catch (error) {
      throw signal.aborted ? signal.reason : connectError(toError(error), address)
    }
  })
}

/**
 * Runs `work` with a signal that aborts when the caller's does, at the deadline, or after
 * `timeoutMs`; the first two leave their own reason.
 */
export async function withTimeLimit<Result>(
  address: Address,
  timeoutMs: number,
  clock: Clock,
  options: ConnectOptions,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { signal, deadline = Number.POSITIVE_INFINITY } = options
  signal?.throwIfAborted()
  const controller = new AbortController()
  const start = clock.now()
  const at = Math.min(deadline, start + timeoutMs)
  const tooLate = () => {
    const waited = Math.max(0, Math.round(at - start))
    const message = `${formatAddress(address)} could not be connected within ${waited} ms`
    controller.abort(new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' }))
  }
  if (at <= start) {
    tooLate()
    throw controller.signal.reason
  }
  const onAbort = () => controller.abort(signal?.reason)
  const timer = clock.setTimer(at, tooLate)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await work(controller.signal)
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

export function requireIp(address: Address): IpAddress {
  if (address.kind === 'ip') return address
  const text = formatAddress(address)
  throw new UsageError('ERR_ADDRESS_INVALID', `${text}: expected a host and a port`)
}

async function resolve(
  to: IpAddress,
  tcp: ResolvedTcpOptions,
  signal: AbortSignal,
): Promise<readonly ResolvedAddress[]> {
  const literal = isIP(to.host)
  const addresses =
    literal === 0
      ? await unlessAborted((tcp.lookup ?? lookupSystem)(to.host, signal), signal)
      : [{ address: to.host, family: literal as 4 | 6 }]
  const { family } = tcp
  const usable = family === undefined ? addresses : addresses.filter((a) => a.family === family)
  if (usable.length === 0) {
    const what = family === undefined ? 'address' : `IPv${family} address`
    const error: NodeJS.ErrnoException = new Error(`${to.host} has no ${what}`)
    error.code = 'ENOTFOUND'
    throw error
  }
  return interleaveFamilies(usable.slice(0, tcp.maxAddresses))
}

const lookupSystem: Lookup = async (host) =>
  (await systemLookup(host, { all: true, order: 'verbatim' })) as ResolvedAddress[]

function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const forget = () => signal.removeEventListener('abort', onAbort)
    promise.then(resolve, reject).finally(forget)
  })
}

function attemptSocket(
  to: ResolvedAddress,
  port: number,
  tcp: ResolvedTcpOptions,
  onConnected: (socket: Socket) => void,
  onFailed: (error: Error) => void,
): PendingAttempt {
  const socket = new Socket({ allowHalfOpen: true })
  // Paused before it is connected, so that Node does not begin to read.
  socket.pause()
  const { noDelay, keepAliveMs, keepAliveIntervalMs, keepAliveCount, typeOfService } = tcp
  if (noDelay) socket.setNoDelay(true)
  if (keepAliveMs !== false) {
    const set = socket.setKeepAlive as (...values: (boolean | number | undefined)[]) => void
    set.call(socket, true, keepAliveMs, keepAliveIntervalMs, keepAliveCount)
  }
  if (typeOfService !== undefined) {
    const { setTypeOfService } = socket as unknown as { setTypeOfService(value: number): void }
    setTypeOfService.call(socket, typeOfService)
  }
  const onError = (error: Error) => {
    socket.destroy()
    onFailed(error)
  }
  socket.once('error', onError)
  socket.once('connect', () => {
    socket.off('error', onError)
    onConnected(socket)
  })
  socket.connect({
    host: to.address,
    port,
    family: to.family,
    autoSelectFamily: false,
    ...(tcp.localAddress !== undefined && { localAddress: tcp.localAddress }),
    ...(tcp.localPort !== undefined && { localPort: tcp.localPort }),
  })
  return {
    abort() {
      socket.off('error', onError)
      socket.on('error', () => {}) // an aborted attempt has nobody to tell
      socket.destroy()
    },
  }
}
