/** `heddle/transports/memory`: connections and datagrams within one process, for tests and for embedding. */
export {
  MemoryDatagramNetwork,
  type MemoryDatagramOptions,
  memoryDatagramDefaults,
  memoryDatagrams,
} from '../../transports/memory/memory-datagrams.ts'
export { MemoryNetwork } from '../../transports/memory/memory-network.ts'
export {
  type MemoryOptions,
  memory,
  memoryDefaults,
  memoryPair,
} from '../../transports/memory/memory-transport.ts'
