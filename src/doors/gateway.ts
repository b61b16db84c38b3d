/** The gateway as a library: load a configuration, start, reload, drain. */
export type { Environment } from '../gateway/config/interpolation.ts'
export {
  type LoadedConfig,
  type LoadOptions,
  type LoadOutcome,
  loadConfig,
  loadConfigFile,
  type RejectedConfig,
} from '../gateway/config/load.ts'
export { type ConfigProblem, formatProblem } from '../gateway/config/problem.ts'
export type { GatewayConfig, GatewayConfigInput } from '../gateway/config/schema/gateway.ts'
export { Gateway, startGateway } from '../gateway/gateway.ts'
export type { GatewayEnvironment } from '../gateway/gateway-environment.ts'
export { nodeTransports } from '../gateway/node-transports.ts'
export type * from '../gateway/status.ts'
export type { GatewayTransports } from '../gateway/transports.ts'
