/**
 * What a client says to a SOCKS proxy. Lengths were checked before: nothing here can fail.
 *
 *     5: | 5 | count | methods |      | 1 | length | user | length | password |
 *        | 5 | 1 CONNECT | 0 | type | address | port 2 |
 *     4: | 4 | 1 CONNECT | port 2 | IPv4 4 | user id | 0 |  and for 4a: name | 0 |
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { parseIpv4, parseIpv6 } from '../../core/ip-text.ts'

export const NO_AUTHENTICATION = 0
export const USERNAME_PASSWORD = 2

/** RFC 1928 3. Both methods are offered only with credentials. */
export function encodeGreeting(out: ByteWriter, withCredentials: boolean): void {
  out.uint8(5)
  out.uint8(withCredentials ? 2 : 1)
  out.uint8(NO_AUTHENTICATION)
  if (withCredentials) out.uint8(USERNAME_PASSWORD)
}

/** RFC 1929 2. */
export function encodeCredentials(
  out: ByteWriter,
  username: Uint8Array,
  password: Uint8Array,
): void {
  out.uint8(1)
  out.uint8(username.length)
  out.copy(username)
  out.uint8(password.length)
  out.copy(password)
}

/** RFC 1928 4. */
export function encodeConnect5(
  out: ByteWriter,
  host: string,
  name: Uint8Array,
  port: number,
): void {
  out.uint8(5)
  out.uint8(CONNECT)
  out.uint8(0)
  const address = parseIpv4(host) ?? parseIpv6(host)
  if (address === undefined) {
    out.uint8(NAME)
    out.uint8(name.length)
    out.copy(name)
  } else {
    out.uint8(address.length === 4 ? IPV4 : IPV6)
    out.copy(address)
  }
  out.uint16(port)
}

/** SOCKS 4; a name goes behind the impossible address 0.0.0.1 (4a). */
export function encodeConnect4(
  out: ByteWriter,
  host: string,
  name: Uint8Array,
  port: number,
  userId: Uint8Array,
): void {
  out.uint8(4)
  out.uint8(CONNECT)
  out.uint16(port)
  const address = parseIpv4(host)
  out.copy(address ?? UNKNOWN_ADDRESS)
  out.copy(userId)
  out.uint8(0)
  if (address !== undefined) return
  out.copy(name)
  out.uint8(0)
}

const CONNECT = 1
export const IPV4 = 1
export const NAME = 3
export const IPV6 = 4
const UNKNOWN_ADDRESS = Uint8Array.of(0, 0, 0, 1)
