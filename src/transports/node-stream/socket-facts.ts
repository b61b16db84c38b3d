/**
 * Facts of a connection on a socket: addresses are asked for when somebody wants them, and kept, so
 * that they are still known after the socket has closed.
 */
import { type Address, ip } from '../../core/address.ts'
import { Capability, type ConnectionRole, type TlsFacts } from '../../core/connection.ts'
import type { CapturableFacts } from './handle-connection.ts'
import type { SocketName } from './stream-handle.ts'

/** Asks the socket; may be expensive, may only work while it is open. */
export interface EndNames {
  local(): Address
  remote(): Address
}

export class SocketFacts implements CapturableFacts {
  readonly transport: string
  readonly role: ConnectionRole
  readonly capabilities: number
  readonly #names: EndNames
  #local: Address | undefined
  #remote: Address | undefined

  constructor(transport: string, role: ConnectionRole, capabilities: number, names: EndNames) {
    this.transport = transport
    this.role = role
    this.capabilities = capabilities
    this.#names = names
  }

  get local(): Address {
    this.#local ??= this.#names.local()
    return this.#local
  }

  get remote(): Address {
    this.#remote ??= this.#names.remote()
    return this.#remote
  }

  get tls(): TlsFacts | undefined {
    return undefined
  }

  // Node has no call for these: they need TCP_INFO or getsockopt (specs/kernel-transports.md).
  get mtu(): number | undefined {
    return undefined
  }

  get receiveBufferBytes(): number | undefined {
    return undefined
  }

  get sendBufferBytes(): number | undefined {
    return undefined
  }

  roundTripMs(): number | undefined {
    return undefined
  }

  capture(): void {
    this.#local ??= this.#names.local()
    this.#remote ??= this.#names.remote()
  }
}

/**
 * An address as Node reports it. An IPv4 peer of a dual-stack listener (`::ffff:10.0.0.1`) is given
 * as IPv4: access lists and logs should not depend on how the listener was bound.
 */
export function socketAddress(name: SocketName): Address {
  const { address = '', port = 0 } = name
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return ip(mapped?.[1] ?? address, port)
}

/** What a socket on a raw handle can do. */
export const HANDLE_CAPABILITIES: number =
  Capability.HALF_CLOSE | Capability.VECTORED_WRITE | Capability.LEASED_READ | Capability.DESCRIPTOR
/** What a socket through `net.Socket` can do. */
export const SOCKET_CAPABILITIES: number = Capability.HALF_CLOSE | Capability.VECTORED_WRITE
