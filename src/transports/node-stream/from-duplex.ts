/**
 * Any Node `Duplex` as a connection: an SSH channel, a WebSocket stream, a serial port, a socket
 * that another library made.
 *
 *     const connection = fromDuplex(sshChannel, { remote: parseAddress('ssh://host/redis') })
 */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Address } from '../../core/address.ts'
import {
  Capability,
  type Connection,
  type ConnectionFacts,
  type ConnectionRole,
} from '../../core/connection.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import { DuplexConnection } from './duplex-connection.ts'
import { SOCKET_CAPABILITIES, SocketFacts, socketAddress } from './socket-facts.ts'
import { TlsSocketFacts } from './tls-facts.ts'

export interface FromDuplexOptions {
  /** Which end this is. @default 'initiating' */
  role?: ConnectionRole
  /** Name in the connection's facts. @default 'duplex' */
  transport?: string
  /** @default the socket's own, or `stream:` where the stream has none */
  local?: Address
  remote?: Address
  /** Bytes that may wait in the stream before `write` returns false. @default 65_536 */
  highWaterMarkBytes?: number
  /**
   * Whether writes are copied, because the stream may keep a chunk after its callback.
   *
   * @default true, and false for sockets of Node, which do not
   */
  copyWrites?: boolean
}

export const fromDuplexDefaults: Readonly<{
  role: ConnectionRole
  transport: string
  highWaterMarkBytes: number
}> = Object.freeze({ role: 'initiating', transport: 'duplex', highWaterMarkBytes: 65_536 })

/**
 * The connection owns `stream` from now on. Nothing is read before `open`, if nobody reads the
 * stream already.
 *
 * @throws UsageError ERR_ARGUMENT for a stream of objects or of text, or one that is destroyed
 */
export function fromDuplex(stream: Duplex, options: FromDuplexOptions = {}): Connection {
  const {
    role = fromDuplexDefaults.role,
    transport = fromDuplexDefaults.transport,
    highWaterMarkBytes = fromDuplexDefaults.highWaterMarkBytes,
    copyWrites = !(stream instanceof Socket),
    local,
    remote,
  } = options
  checkInteger('highWaterMarkBytes', highWaterMarkBytes, 0, 0x4000_0000)
  if (stream.destroyed) throw new UsageError('ERR_ARGUMENT', 'the stream is destroyed')
  if (stream.readableEncoding !== null) {
    const message = `the stream decodes ${stream.readableEncoding}: a connection carries bytes`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  const names = {
    local: () => local ?? socketName(stream, 'local'),
    remote: () => remote ?? socketName(stream, 'remote'),
  }
  const capabilities = stream.allowHalfOpen
    ? SOCKET_CAPABILITIES
    : SOCKET_CAPABILITIES & ~Capability.HALF_CLOSE
  const facts: SocketFacts =
    stream instanceof TLSSocket
      ? new TlsSocketFacts(transport, role, capabilities, names, stream)
      : new SocketFacts(transport, role, capabilities, names)
  const beforeClose = () => facts.capture()
  const known: ConnectionFacts = facts
  return new DuplexConnection(stream, known, { highWaterMarkBytes, copyWrites, beforeClose })
}

function socketName(stream: Duplex, end: 'local' | 'remote'): Address {
  if (!(stream instanceof Socket)) return NO_NAME
  const [address, port] =
    end === 'local'
      ? [stream.localAddress, stream.localPort]
      : [stream.remoteAddress, stream.remotePort]
  return address === undefined ? NO_NAME : socketAddress({ address, port: port ?? 0 })
}

const NO_NAME: Address = Object.freeze({ kind: 'url', url: 'stream:' })
