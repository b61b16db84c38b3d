/** Servers and their connections as messages of channelz. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { type Address, formatAddress } from '../../../core/address.ts'
import { parseIpv4, parseIpv6 } from '../../../core/ip-text.ts'
import type {
  ServerSchema,
  SocketSchema,
} from '../../../protocols/grpc/proto/grpc/channelz/v1/channelz_pb.ts'
import type { ConnectionControl } from '../../../runtime/server.ts'
import type { CallCounter } from './call-counter.ts'

/** What is shown of a server: `HttpServer` has it. */
export interface ServerLike {
  readonly connections: Iterable<ConnectionControl>
}

export interface ServerSocket {
  readonly id: number
  readonly name: string
  readonly control: ConnectionControl
}

export function serverMessage(entry: {
  readonly id: number
  readonly name: string
  readonly counter: CallCounter
}): MessageInitShape<typeof ServerSchema> {
  const { id, name, counter } = entry
  const { started, succeeded, failed, lastStartedAt, createdAt } = counter
  return {
    ref: { serverId: BigInt(id), name },
    data: {
      trace: { creationTimestamp: timestampFromMs(createdAt) },
      callsStarted: BigInt(started),
      callsSucceeded: BigInt(succeeded),
      callsFailed: BigInt(failed),
      ...(lastStartedAt !== undefined && {
        lastCallStartedTimestamp: timestampFromMs(lastStartedAt),
      }),
    },
  }
}

/** What a connection is up to stands among its options: channelz has no field for it. */
export function socketMessage(socket: ServerSocket): MessageInitShape<typeof SocketSchema> {
  const { id, name, control } = socket
  const { connection, state, idle } = control
  const { local, remote, tls, transport } = connection.facts
  return {
    ref: { socketId: BigInt(id), name },
    data: {
      option: [
        { name: 'transport', value: transport },
        { name: 'state', value: state },
        { name: 'idle', value: String(idle) },
        { name: 'unsent', value: String(connection.writableLength) },
      ],
    },
    local: addressMessage(local),
    remote: addressMessage(remote),
    ...(tls !== undefined && {
      security: {
        model: {
          case: 'tls' as const,
          value: { cipherSuite: { case: 'standardName' as const, value: tls.cipher } },
        },
      },
    }),
  }
}

function addressMessage(
  address: Address,
): NonNullable<MessageInitShape<typeof SocketSchema>['local']> {
  if (address.kind === 'ip') {
    const ipAddress = parseIpv4(address.host) ?? parseIpv6(address.host)
    if (ipAddress !== undefined) {
      return { address: { case: 'tcpipAddress', value: { ipAddress, port: address.port } } }
    }
  }
  if (address.kind === 'unix') {
    return { address: { case: 'udsAddress', value: { filename: address.path } } }
  }
  return { address: { case: 'otherAddress', value: { name: formatAddress(address) } } }
}
