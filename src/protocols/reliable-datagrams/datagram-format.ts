/**
 * The two datagrams of the reliable exchange, big-endian:
 *
 *     data   | version 1 | kind 0 | epoch u32 | number u32 | payload … |
 *     ack    | version 1 | kind 1 | epoch u32 | number u32 × 1 or more |
 *
 * `epoch` is chosen at random by the sender of the data when it starts, so that a process that was
 * started anew is not taken for its predecessor. An acknowledgement repeats epoch and numbers. It is
 * never longer than what it acknowledges, so nobody can be flooded by way of it.
 */
import { ProtocolError } from '../../core/errors.ts'

export type ReliableDatagram =
  | {
      readonly kind: 'data'
      readonly epoch: number
      readonly number: number
      /** A view of the datagram. */
      readonly payload: Uint8Array
    }
  | { readonly kind: 'ack'; readonly epoch: number; readonly numbers: readonly number[] }

export const HEADER_BYTES = 10

/** The datagram, or what is wrong with it. */
export function decodeReliableDatagram(datagram: Uint8Array): ReliableDatagram | ProtocolError {
  const { length } = datagram
  if (length < HEADER_BYTES) {
    const message = `datagram of ${length} bytes is shorter than the header of ${HEADER_BYTES}`
    return new ProtocolError('ERR_TRUNCATED', message)
  }
  const version = datagram[0] as number
  if (version !== VERSION) {
    return new ProtocolError('ERR_VERSION', `datagram of version ${version}, expected ${VERSION}`)
  }
  const view = new DataView(datagram.buffer, datagram.byteOffset, length)
  const epoch = view.getUint32(2)
  switch (datagram[1]) {
    case DATA: {
      const payload = datagram.subarray(HEADER_BYTES)
      return { kind: 'data', epoch, number: view.getUint32(6), payload }
    }
    case ACK: {
      if ((length - ACK_HEADER_BYTES) % 4 !== 0) {
        const message = `acknowledgement of ${length} bytes ends inside a number`
        return new ProtocolError('ERR_MALFORMED', message)
      }
      const numbers: number[] = []
      for (let at = ACK_HEADER_BYTES; at < length; at += 4) numbers.push(view.getUint32(at))
      return { kind: 'ack', epoch, numbers }
    }
    default:
      return new ProtocolError('ERR_MALFORMED', `datagram of kind ${datagram[1]}`)
  }
}

/** A new array that is the caller's. */
export function encodeData(epoch: number, number: number, payload: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(HEADER_BYTES + payload.length)
  writeHeader(datagram, DATA, epoch)
  new DataView(datagram.buffer).setUint32(6, number)
  datagram.set(payload, HEADER_BYTES)
  return datagram
}

/** One acknowledgement for as many of `numbers` as `maxBytes` has room for, at least one. */
export function encodeAck(epoch: number, numbers: readonly number[], maxBytes: number): Uint8Array {
  const room = Math.max(1, Math.floor((maxBytes - ACK_HEADER_BYTES) / 4))
  const count = Math.min(room, numbers.length)
  const datagram = new Uint8Array(ACK_HEADER_BYTES + 4 * count)
  writeHeader(datagram, ACK, epoch)
  const view = new DataView(datagram.buffer)
  for (let index = 0; index < count; index++) {
    view.setUint32(ACK_HEADER_BYTES + 4 * index, numbers[index] as number)
  }
  return datagram
}

/** How many numbers an acknowledgement holds. */
export function ackCount(datagram: Uint8Array): number {
  return (datagram.length - ACK_HEADER_BYTES) / 4
}

function writeHeader(datagram: Uint8Array, kind: number, epoch: number): void {
  datagram[0] = VERSION
  datagram[1] = kind
  new DataView(datagram.buffer).setUint32(2, epoch)
}

const VERSION = 1
const DATA = 0
const ACK = 1
const ACK_HEADER_BYTES = 6
