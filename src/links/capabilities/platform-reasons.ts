/**
 * What platforms never have, and why: known without trying, so that the answer is the same reason
 * everywhere instead of an error of the system.
 */

export interface PlatformFacts {
  /** As `process.platform`. */
  readonly system: string
  /** As `process.arch`. */
  readonly processor: string
}

/** @returns undefined: it may work, a probe finds out */
export function platformReason(capability: string, facts: PlatformFacts): string | undefined {
  const { system, processor } = facts
  switch (capability) {
    case 'unix':
      return system === 'win32'
        ? 'Node has named pipes on Windows, where other systems have Unix sockets'
        : undefined
    case 'unix-abstract':
      return system === 'linux'
        ? undefined
        : `abstract names exist on Linux only, and this is ${nameOf(system)}`
    case 'reuse-port':
      return REUSE_PORT.has(system)
        ? undefined
        : `${nameOf(system)} does not spread connections over sockets that share a port`
    case 'quic':
      if (system === 'win32') return 'node.exe does not export the QUIC functions of its OpenSSL'
      return processor.endsWith('64')
        ? undefined
        : `OpenSSL's structures are known for 64-bit machines, not for ${processor}`
    case 'webrtc':
      return WEBRTC.has(system) ? undefined : `node-datachannel has no build for ${nameOf(system)}`
    default:
      return undefined
  }
}

function nameOf(system: string): string {
  return NAMES[system] ?? system
}

const NAMES: Readonly<Record<string, string>> = {
  darwin: 'macOS',
  win32: 'Windows',
  linux: 'Linux',
  freebsd: 'FreeBSD',
}
const REUSE_PORT: ReadonlySet<string> = new Set(['linux', 'freebsd', 'dragonfly', 'sunos', 'aix'])
const WEBRTC: ReadonlySet<string> = new Set(['linux', 'darwin', 'win32'])
