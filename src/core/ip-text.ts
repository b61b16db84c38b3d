/**
 * IP addresses between text and bytes, without the platform. Strict: what version 1 of the PROXY
 * protocol sends decides who a client is, so there is one spelling of a number and no octal.
 */

/** `10.0.0.1`, without leading zeros. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const match = IPV4.exec(text)
  if (match === null) return undefined
  const bytes = new Uint8Array(4)
  for (let index = 0; index < 4; index++) {
    const value = Number(match[index + 1])
    if (value > 255) return undefined
    bytes[index] = value
  }
  return bytes
}

export function formatIpv4(bytes: Uint8Array): string {
  return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
}

/** RFC 4291 2.2, the dotted end included; no zone. */
export function parseIpv6(text: string): Uint8Array | undefined {
  let head = text
  const bytes = new Uint8Array(16)
  let groupsWanted = 8
  const dotted = text.lastIndexOf(':')
  if (text.includes('.')) {
    const tail = parseIpv4(text.slice(dotted + 1))
    if (tail === undefined || dotted < 0) return undefined
    bytes.set(tail, 12)
    groupsWanted = 6
    // `::1.2.3.4` keeps its double colon, `a:1.2.3.4` loses the single one.
    head = text[dotted - 1] === ':' ? text.slice(0, dotted + 1) : text.slice(0, dotted)
  }
  const halves = head.split('::')
  if (halves.length > 2) return undefined
  const left = groupsOf(halves[0] as string)
  const right = halves.length === 2 ? groupsOf(halves[1] as string) : []
  if (left === undefined || right === undefined) return undefined
  const count = left.length + right.length
  // A double colon stands for at least one group (RFC 5952 4.2.2 asks for two; one is accepted).
  if (halves.length === 2 ? count >= groupsWanted : count !== groupsWanted) return undefined
  left.forEach((group, index) => void writeGroup(bytes, index, group))
  right.forEach((group, index) => {
    writeGroup(bytes, groupsWanted - right.length + index, group)
  })
  return bytes
}

/** RFC 5952: lower case, the longest run of at least two zero groups as `::`. */
export function formatIpv6(bytes: Uint8Array): string {
  const groups: number[] = []
  for (let at = 0; at < 16; at += 2) {
    groups.push(((bytes[at] as number) << 8) | (bytes[at + 1] as number))
  }
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${formatIpv4(bytes.subarray(12))}`
  }
  const { start, length } = longestZeroRun(groups)
  const text = groups.map((group) => group.toString(16))
  if (length < 2) return text.join(':')
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`
}

function groupsOf(text: string): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  for (const part of text.split(':')) {
    if (!GROUP.test(part)) return undefined
    groups.push(Number.parseInt(part, 16))
  }
  return groups
}

function writeGroup(bytes: Uint8Array, index: number, group: number): void {
  bytes[index * 2] = group >>> 8
  bytes[index * 2 + 1] = group
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let index = 0; index <= groups.length; index++) {
    if (groups[index] === 0) continue
    if (index - start > best.length) best = { start, length: index - start }
    start = index + 1
  }
  return best
}

const BYTE = '(0|[1-9]\\d{0,2})'
const IPV4 = new RegExp(`^${BYTE}\\.${BYTE}\\.${BYTE}\\.${BYTE}$`)
const GROUP = /^[0-9a-fA-F]{1,4}$/
