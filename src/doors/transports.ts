/** `heddle/transports`: which transport, and what this machine can do. */
export * from '../links/capabilities/capabilities.ts'
export * from '../links/capabilities/platform-reasons.ts'
export * from '../links/selection/select-transport.ts'
export * from '../links/selection/transport-for.ts'
export * from '../links/selection/transport-override.ts'
export * from '../links/selection/transport-profiles.ts'
export * from '../links/selection/transport-registry.ts'
