/** `heddle/transports/memory`: connections within one process, for tests and for embedding. */
export { MemoryNetwork } from '../../transports/memory/memory-network.ts'
export {
  type MemoryOptions,
  memory,
  memoryDefaults,
  memoryPair,
} from '../../transports/memory/memory-transport.ts'
