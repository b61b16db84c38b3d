/**
 * What a process costs, as sums since its start. The platform layer reads it, telemetry shows it.
 */
export interface ProcessFacts {
  cpuSeconds(): { readonly user: number; readonly system: number }
  memory(): ProcessMemory
  /** How long the event loop worked and waited, in milliseconds. */
  eventLoop(): { readonly activeMs: number; readonly idleMs: number }
}

export interface ProcessMemory {
  readonly residentBytes: number
  readonly heapUsedBytes: number
  readonly heapTotalBytes: number
  /** Outside the JavaScript heap: buffers. */
  readonly externalBytes: number
}
