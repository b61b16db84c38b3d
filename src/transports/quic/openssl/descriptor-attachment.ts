/**
 * QUIC on a UDP socket of its own: the fast path, on Linux.
 */
import { type Address, formatAddress, type IpAddress } from '../../../core/address.ts'
import { toError, UsageError } from '../../../core/errors.ts'
import { afterInput, beforeExit } from '../../../platform/process-access.ts'
import { connectError, listenError } from '../../node-stream/system-errors.ts'
import { resolveHost } from '../resolve-host.ts'
import type { AttachedPeer, Attachment, AttachmentSink } from './attachment.ts'
import { DatagramDescriptor, type DescriptorEvents } from './datagram-descriptor.ts'
import { DatagramPair } from './datagram-pair.ts'
import type { Openssl, PollHandle } from './openssl.ts'
import { readSocketAddress, writeSocketAddress } from './socket-address.ts'

export class DescriptorAttachment implements Attachment, DescriptorEvents {
  readonly #openssl: Openssl
  readonly #pair: DatagramPair
  readonly #descriptor: DatagramDescriptor
  #poll: PollHandle | undefined
  #sink: AttachmentSink | undefined
  #scheduled = false

  private constructor(openssl: Openssl, descriptor: DatagramDescriptor) {
    this.#openssl = openssl
    this.#pair = new DatagramPair(openssl)
    this.#descriptor = descriptor
    openssl.pins.add(this)
  }

  /** @throws TransportError when the address cannot be had */
  static async bind(
    openssl: Openssl,
    address: Address,
    share: 'only' | 'first' | 'next',
  ): Promise<DescriptorAttachment> {
    if (address.kind !== 'ip') {
      const message = `quic listens on IP addresses, not on ${formatAddress(address)}`
      throw new UsageError('ERR_ADDRESS_INVALID', message)
    }
    try {
      const numeric = await resolveHost(address)
      return new DescriptorAttachment(openssl, new DatagramDescriptor(openssl, numeric, share))
    } catch (error) {
      throw listenError(toError(error), address)
    }
  }

  get bio(): number {
    return this.#pair.bio
  }

  get local(): IpAddress {
    return this.#descriptor.local
  }

  /** Once all sockets of a port are there. */
  closeShare(): void {
    this.#descriptor.closeShare()
  }

  start(sink: AttachmentSink): void {
    this.#sink = sink
    // Only setImmediate is called here: on Node 26, what this callback puts into the queues of
    // nextTick and of promises waits for the next event of another kind.
    const onReadable = () => this.#schedule()
    this.#poll = this.#openssl.koffi.node.poll(this.#descriptor.fd, { readable: true }, onReadable)
    this.#openssl.pins.add(this.#poll)
    openPolls.add(this.#poll)
    // One that is open and readable while Node takes the thread apart would end the process.
    if (openPolls.size === 1) removeExit = beforeExit(stopPolls)
  }

  drain(): void {
    do {
      if (this.#pair.read() > 0) this.#descriptor.send(this.#pair.slots, this)
    } while (this.#pair.mayHaveMore)
  }

  peer(remote: Address): AttachedPeer {
    const name = remote.kind === 'ip' ? writeSocketAddress(remote) : undefined
    if (name === undefined) {
      const message = `${formatAddress(remote)} is no IP address: quic cannot reach it`
      throw new UsageError('ERR_ADDRESS_INVALID', message)
    }
    const memory = new Uint8Array(new ArrayBuffer(PEER_BYTES))
    memory.set(name)
    this.#openssl.pins.add(memory)
    return {
      pointer: this.#openssl.addressOf(memory),
      key: formatAddress(readSocketAddress(memory, 0)),
      forget: () => void this.#openssl.pins.delete(memory),
    }
  }

  stop(): void {
    this.#sink = undefined
    if (this.#poll === undefined) return
    this.#poll.stop()
    this.#poll.close()
    this.#openssl.pins.delete(this.#poll)
    openPolls.delete(this.#poll)
    if (openPolls.size === 0) removeExit()
    this.#poll = undefined
  }

  async close(): Promise<void> {
    this.stop()
    this.#pair.free()
    this.#openssl.pins.delete(this)
    this.#descriptor.close()
  }

  ref(): void {
    this.#poll?.ref()
  }

  unref(): void {
    this.#poll?.unref()
  }

  // From the descriptor.

  onDatagram(payloadAt: number, length: number, firstByte: number, peerAt: number): void {
    this.#sink?.onDatagram(payloadAt, length, firstByte, peerAt, () => this.#addressAt(peerAt))
  }

  onUnreachable(to: IpAddress, cause: Error): void {
    this.#sink?.onUnreachable(formatAddress(to), connectError(cause, to))
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    afterInput(this.#receive)
  }

  readonly #receive = (): void => {
    this.#scheduled = false
    if (this.#sink === undefined) return
    const more = this.#descriptor.receive(this)
    this.#sink?.onBatchEnd()
    if (more && this.#sink !== undefined) this.#schedule()
  }

  #addressAt(pointer: number): IpAddress {
    return readSocketAddress(new Uint8Array(this.#openssl.koffi.view(pointer, PEER_BYTES)), 0)
  }
}

function stopPolls(): void {
  for (const poll of openPolls) poll.stop()
}

const openPolls = new Set<PollHandle>()
let removeExit: () => void = () => {}
const PEER_BYTES = 128
