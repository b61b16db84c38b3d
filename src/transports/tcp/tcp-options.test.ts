import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveTcpOptions, type TcpOptions, tcpDefaults } from './tcp-options.ts'

const EVERYTHING = { keepAliveProbes: true, typeOfService: true, reusePort: true }
const NOTHING = { keepAliveProbes: false, typeOfService: false, reusePort: false }
const refused = (options: object, code: string, message: RegExp, abilities = EVERYTHING) =>
  assert.throws(() => resolveTcpOptions(options as TcpOptions, abilities), { code, message })

test('resolveTcpOptions takes an explicit undefined as absent', () => {
  const { keepAliveMs, noDelay } = resolveTcpOptions(
    { keepAliveMs: undefined, noDelay: undefined } as unknown as TcpOptions,
    NOTHING,
  )
  assert.deepEqual([keepAliveMs, noDelay], [tcpDefaults.keepAliveMs, tcpDefaults.noDelay])
})

test('resolveTcpOptions refuses what Node cannot set instead of ignoring it', () => {
  for (const name of ['ttl', 'sendBufferBytes', 'receiveBufferBytes', 'userTimeoutMs']) {
    refused({ [name]: 64 }, 'ERR_OPTION_UNSUPPORTED', new RegExp(`cannot honour ${name}: `))
  }
  refused({ reuseAddress: false }, 'ERR_OPTION_UNSUPPORTED', /SO_REUSEADDR/)
  resolveTcpOptions({ reuseAddress: true }, EVERYTHING)
  const limited: TcpOptions[] = [
    { keepAliveIntervalMs: 5_000 },
    { keepAliveCount: 3 },
    { typeOfService: 0x10 },
    { reusePort: true },
  ]
  for (const options of limited) {
    resolveTcpOptions(options, EVERYTHING)
    refused(options, 'ERR_OPTION_UNSUPPORTED', /cannot honour/, NOTHING)
  }
  resolveTcpOptions({ reusePort: false }, NOTHING)
})

test('resolveTcpOptions refuses unknown names', () => {
  refused({ nodelay: true }, 'ERR_OPTION_UNKNOWN', /'nodelay'/)
})

test('resolveTcpOptions accepts each limit and refuses one past it', () => {
  const limits: [name: keyof TcpOptions, min: number, max: number][] = [
    ['keepAliveMs', 1_000, 32_767_000],
    ['keepAliveIntervalMs', 1_000, 32_767_000],
    ['keepAliveCount', 1, 127],
    ['typeOfService', 0, 255],
    ['localPort', 0, 65_535],
    ['connectTimeoutMs', 1, 3_600_000],
    ['attemptDelayMs', 10, 60_000],
    ['maxAddresses', 1, 1_024],
    ['highWaterMarkBytes', 0, 0x4000_0000],
    ['readBufferBytes', 256, 0x100_0000],
    ['maxPausedConnections', 0, 65_535],
  ]
  for (const [name, min, max] of limits) {
    for (const value of [min, max]) resolveTcpOptions({ [name]: value }, EVERYTHING)
    for (const value of [min - 1, max + 1, min + 0.5, Number.NaN]) {
      refused({ [name]: value }, 'ERR_OPTION_RANGE', new RegExp(`${name} is ${value}`))
    }
  }
  refused({ engine: 'fast' }, 'ERR_OPTION_RANGE', /engine is 'fast'/)
  refused({ family: 5 }, 'ERR_OPTION_RANGE', /family is 5/)
})
