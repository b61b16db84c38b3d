/**
 * PROXY protocol headers to bytes.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { UsageError } from '../../core/errors.ts'
import { parseIpv4, parseIpv6 } from '../../core/ip-text.ts'
import { UNIX_PATH_BYTES } from './decoder.ts'
import { type ProxyAddresses, type ProxyHeader, V2_SIGNATURE } from './proxy-header.ts'

export function encodeProxyHeader(header: ProxyHeader, out: ByteWriter): void {
  if (header.version === 1) encodeV1(header, out)
  else encodeV2(header, out)
}

function encodeV1({ command, addresses }: ProxyHeader, out: ByteWriter): void {
  // Version 1 has no word for `local`, Unix sockets and datagrams: UNKNOWN says nothing false.
  if (command === 'local' || addresses === undefined) return out.latin1('PROXY UNKNOWN\r\n')
  if (addresses.family === 'unix' || addresses.transport === 'datagram') {
    return out.latin1('PROXY UNKNOWN\r\n')
  }
  const { family, source, destination } = addresses
  addressBytes(family, source.host)
  addressBytes(family, destination.host)
  const word = family === 'ipv4' ? 'TCP4' : 'TCP6'
  const hosts = `${source.host} ${destination.host}`
  out.latin1(`PROXY ${word} ${hosts} ${source.port} ${destination.port}\r\n`)
}

function encodeV2({ command, addresses, extensions }: ProxyHeader, out: ByteWriter): void {
  let length = addresses === undefined ? 0 : ADDRESS_BYTES[addresses.family]
  for (const { value } of extensions) length += 3 + value.length
  if (length > 0xffff) throw new UsageError('ERR_ARGUMENT', `PROXY header of ${length} bytes`)
  out.copy(V2_SIGNATURE)
  out.uint8(command === 'local' ? 0x20 : 0x21)
  out.uint8(addresses === undefined ? 0 : familyByte(addresses))
  out.uint16(length)
  if (addresses !== undefined) encodeAddresses(addresses, out)
  for (const { type, value } of extensions) {
    out.uint8(type)
    out.uint16(value.length)
    out.copy(value)
  }
}

function encodeAddresses(addresses: ProxyAddresses, out: ByteWriter): void {
  if (addresses.family === 'unix') {
    encodePath(addresses.source, out)
    encodePath(addresses.destination, out)
    return
  }
  const { family, source, destination } = addresses
  out.copy(addressBytes(family, source.host))
  out.copy(addressBytes(family, destination.host))
  out.uint16(source.port)
  out.uint16(destination.port)
}

function addressBytes(family: 'ipv4' | 'ipv6', host: string): Uint8Array {
  const bytes = family === 'ipv4' ? parseIpv4(host) : parseIpv6(host)
  if (bytes === undefined) throw new UsageError('ERR_ARGUMENT', `'${host}' is not ${family}`)
  return bytes
}

function encodePath(path: string, out: ByteWriter): void {
  const bytes = new TextEncoder().encode(path)
  if (bytes.length > UNIX_PATH_BYTES) {
    throw new UsageError(
      'ERR_ARGUMENT',
      `path of ${bytes.length} bytes, at most ${UNIX_PATH_BYTES}`,
    )
  }
  out.copy(bytes)
  out.copy(new Uint8Array(UNIX_PATH_BYTES - bytes.length))
}

function familyByte({ family, transport }: ProxyAddresses): number {
  return (FAMILY_NIBBLE[family] << 4) | (transport === 'stream' ? 1 : 2)
}

const FAMILY_NIBBLE = Object.freeze({ ipv4: 1, ipv6: 2, unix: 3 })
const ADDRESS_BYTES = Object.freeze({ ipv4: 12, ipv6: 36, unix: 2 * UNIX_PATH_BYTES })
