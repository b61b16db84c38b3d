/**
 * Whatever a proxy says: a tunnel, a failure or more input wanted, never an exception; and the same
 * outcome however the bytes are cut.
 */
import { SocksClientSession } from './client-session.ts'

export const samples: readonly Uint8Array[] = [
  Uint8Array.of(5, 0, 5, 0, 0, 1, 10, 0, 0, 1, 0, 80),
  Uint8Array.of(5, 2, 1, 0, 5, 0, 0, 3, 2, 104, 105, 0, 80),
  Uint8Array.of(0, 90, 0, 80, 10, 0, 0, 1),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const version = seed % 2 === 0 ? 5 : 4
  const whole = outcome(version, bytes, bytes.length || 1)
  const cut = outcome(version, bytes, 1 + (seed % 5))
  if (whole !== cut) throw new Error(`whole: ${whole}, cut: ${cut}`)
}

function outcome(version: 4 | 5, bytes: Uint8Array, step: number): string {
  const session = new SocksClientSession({ version, username: 'a' })
  session.submit({ type: 'connect', host: 'a.example', port: 80 }, 0)
  let event: ReturnType<SocksClientSession['pollEvent']>
  for (let at = 0; at < bytes.length && event === undefined; at += step) {
    session.receive(bytes.slice(at, at + step), 0)
    event = session.pollEvent()
  }
  session.receiveEnd(0)
  event ??= session.pollEvent()
  return event?.type === 'failed' ? event.error.message : JSON.stringify(event)
}
