/** The admin service on its address. */
import { formatAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { ProcessFacts } from '../../core/process-facts.ts'
import { type HttpServer, httpServer } from '../../servers/http/http-server.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Registry } from '../../telemetry/registry.ts'
import type { GatewayConfig } from '../config/schema/gateway.ts'
import { parseListenAddress } from '../listening/listen-address.ts'
import type { GatewayStatus } from '../status.ts'
import type { GatewayTransports } from '../transports.ts'
import { AdminService } from './admin-service.ts'

export interface AdminEnvironment {
  readonly clock: Clock
  readonly transports: GatewayTransports
  readonly descriptor: (address: string) => number | undefined
  readonly process: ProcessFacts | undefined
  readonly log: Logger
  /** Told of drains and reloads. */
  readonly onAction?: (action: string, address: string | undefined) => void
}

export interface RunningAdmin {
  readonly service: AdminService
  readonly server: HttpServer
  /** As bound. */
  readonly address: string
}

/** @throws TransportError when it cannot listen there */
export async function startAdmin(
  config: GatewayConfig['admin'],
  status: GatewayStatus,
  registry: Registry,
  environment: AdminEnvironment,
): Promise<RunningAdmin> {
  const { clock, transports, descriptor, process, log, onAction } = environment
  const service = new AdminService({
    status,
    registry,
    clock,
    allowedHosts: config.allowed_hosts,
    log,
    ...(process !== undefined && { process }),
    ...(onAction !== undefined && { onAction }),
  })
  const server = httpServer(service.service, { clock, drainTimeoutMs: DRAIN_MS })
  const fd = descriptor(config.address)
  try {
    const listener = await server.listen(
      transports.plain(undefined),
      parseListenAddress(config.address),
      fd === undefined ? {} : { descriptor: fd },
    )
    return { service, server, address: formatAddress(listener.address) }
  } catch (error) {
    service.close()
    throw error
  }
}

/** Admin answers while the rest drains; when that is over, watchers are not waited for. */
const DRAIN_MS = 500
