import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../testing/manual-clock.ts'
import { memory } from '../memory/memory-transport.ts'
import { resolveTlsOptions, type TlsOptions } from './tls-options.ts'

test('resolveTlsOptions accepts each limit and refuses one past it', () => {
  const limits: [name: keyof TlsOptions, min: number, max: number][] = [
    ['connectTimeoutMs', 1, 3_600_000],
    ['handshakeTimeoutMs', 1, 3_600_000],
    ['maxHandshakes', 1, 1_000_000],
    ['maxSessions', 0, 1_000_000],
    ['highWaterMarkBytes', 0, 0x4000_0000],
    ['maxPausedConnections', 0, 65_535],
  ]
  for (const [name, min, max] of limits) {
    for (const value of [min, max]) resolveTlsOptions({ [name]: value })
    for (const value of [min - 1, max + 1]) {
      assert.throws(() => resolveTlsOptions({ [name]: value }), {
        code: 'ERR_OPTION_RANGE',
        message: new RegExp(`${name} is ${value}`),
      })
    }
  }
})

test('resolveTlsOptions refuses what cannot be meant', () => {
  const cases: [options: object, code: string, message: RegExp][] = [
    [{ servername: 'x' }, 'ERR_OPTION_UNKNOWN', /no option 'servername'/],
    [{ minVersion: 'TLSv1' }, 'ERR_OPTION_RANGE', /'TLSv1' is not one of TLSv1\.2, TLSv1\.3/],
    [{ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }, 'ERR_OPTION_RANGE', /is over maxVersion/],
    [{ clientCertificates: 'yes' }, 'ERR_OPTION_RANGE', /must be none, request or require/],
    [{ pins: ['sha256/short='] }, 'ERR_OPTION_RANGE', /is not sha256\/<base64 of 32 bytes>/],
    [{ ticketKeys: new Uint8Array(47) }, 'ERR_OPTION_RANGE', /has 47 bytes, must have 48/],
    [{ certificates: {}, credentials: {} }, 'ERR_ARGUMENT', /not both/],
    [{ inner: memory({ clock: new ManualClock() }), tcp: {} }, 'ERR_ARGUMENT', /not both/],
  ]
  for (const [options, code, message] of cases) {
    assert.throws(() => resolveTlsOptions(options as TlsOptions), { code, message })
  }
  resolveTlsOptions({ ticketKeys: new Uint8Array(48), pins: [`sha256/${'A'.repeat(43)}=`] })
})
