/**
 * The environment's say in which transport is used: `HEDDLE_TRANSPORT=tls node app.js`.
 */
import { environmentVariable } from '../../platform/process-access.ts'
import type { TransportOverrides } from './select-transport.ts'

/** HEDDLE_TRANSPORT beside what the program says: `overrides: transportOverride({ config })`. */
export function transportOverride(overrides: TransportOverrides = {}): TransportOverrides {
  const environment = overrides.environment ?? environmentVariable('HEDDLE_TRANSPORT') ?? ''
  return environment === '' ? overrides : { ...overrides, environment }
}
