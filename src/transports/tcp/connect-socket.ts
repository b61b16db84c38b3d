/**
 * From an address to a connected `net.Socket` that reads nothing yet: names, Happy Eyeballs, the
 * time limit, aborting. TCP and TLS both begin here.
 */
import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, Socket } from 'node:net'
import type { Address, IpAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { toError } from '../../core/errors.ts'
import type { ConnectOptions } from '../../core/transport.ts'
import { connectError } from '../node-stream/system-errors.ts'
import { withTimeLimit } from '../node-stream/time-limit.ts'
import {
  interleaveFamilies,
  type Lookup,
  type PendingAttempt,
  type ResolvedAddress,
  raceAddresses,
} from './happy-eyeballs.ts'
import type { ResolvedTcpOptions } from './tcp-options.ts'
import { configureSocket, requireIp } from './tcp-sockets.ts'

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
  configureSocket(socket, tcp)
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
