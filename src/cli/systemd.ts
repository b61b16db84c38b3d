/**
 * What systemd passes to a service: listening sockets (sd_listen_fds(3)).
 *
 * Telling systemd that the service is ready needs a datagram to a Unix socket, which Node cannot
 * send. A unit uses `Type=exec` instead, or calls `systemd-notify` after `/readyz` says so.
 */

export interface SystemdEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly pid: number
}

/** Descriptors by the name that `FileDescriptorName=` gave them, and by number. */
export function listenDescriptors({ env, pid }: SystemdEnvironment): ReadonlyMap<string, number> {
  const descriptors = new Map<string, number>()
  const count = Number(env['LISTEN_FDS'] ?? '0')
  // Meant for another process: inherited by mistake.
  if (Number(env['LISTEN_PID'] ?? '0') !== pid || !(count > 0)) return descriptors
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':')
  for (let index = 0; index < count; index++) {
    const descriptor = FIRST_DESCRIPTOR + index
    const name = names[index]
    if (name !== undefined && name !== '') descriptors.set(`systemd:${name}`, descriptor)
  }
  return descriptors
}

/** The descriptor that an address of the configuration names, if it does. */
export function descriptorOf(
  address: string,
  passed: ReadonlyMap<string, number>,
): number | undefined {
  const number = /^fd:(\d+)$/.exec(address)?.[1]
  return number === undefined ? passed.get(address) : Number(number)
}

const FIRST_DESCRIPTOR = 3
