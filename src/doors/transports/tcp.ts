/** `heddle/transports/tcp`: TCP on Node's sockets. */
export { handleEngineProblem } from '../../transports/node-stream/handle-engine.ts'
export type { Lookup, ResolvedAddress } from '../../transports/tcp/happy-eyeballs.ts'
export * from '../../transports/tcp/tcp.ts'
export * from '../../transports/tcp/tcp-options.ts'
