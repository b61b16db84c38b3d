/** Where a listener binds, as the configuration writes it. */
import { type Address, parseAddress } from '../../core/address.ts'

/** `systemd:name` and `fd:3` are found by their descriptor; the address is only shown. */
export function parseListenAddress(text: string): Address {
  if (/^(?:systemd|fd):/.test(text)) return { kind: 'ip', host: '0.0.0.0', port: 0 }
  return parseAddress(text)
}
