/** What the gateway counts in, and an SDK of the process besides, where one is registered. */
import type { Clock } from '../core/clock.ts'
import { noopMeter } from '../core/metrics.ts'
import { openTelemetryMeter } from '../telemetry/open-telemetry-meter.ts'
import { Registry } from '../telemetry/registry.ts'
import { bridgeRegistry } from '../telemetry/registry-bridge.ts'

export interface GatewayRegistry extends Disposable {
  /** What `/metrics` shows. */
  readonly registry: Registry
}

export function gatewayRegistry(clock: Clock, version: string): GatewayRegistry {
  const sdk = openTelemetryMeter({ version })
  const resource = { 'service.name': 'heddle', 'service.version': version }
  const wallNow = (): number => clock.wallNow()
  if (sdk === noopMeter) {
    return { registry: new Registry({ resource, wallNow }), [Symbol.dispose]() {} }
  }
  const registry = new Registry({ resource, wallNow, histogramMirror: sdk })
  const bridge = bridgeRegistry(registry, { version })
  return { registry, [Symbol.dispose]: () => bridge[Symbol.dispose]() }
}
