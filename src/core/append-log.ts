/**
 * A file that only grows, as a pure layer sees it: what an outbox needs of a disk. The platform has
 * one over Node's file system; a test has one that is cut at any byte.
 */
export interface AppendLog extends AsyncDisposable {
  /** Everything there is, once, at the start. */
  read(): Promise<Uint8Array>
  /** Drops what stands behind `length` bytes: the torn end that a crash left. */
  truncate(length: number): Promise<void>
  /** Hands the bytes to the operating system: they survive the end of this process, not of the machine. */
  append(bytes: Uint8Array): Promise<void>
  /** They survive the end of the machine as well. */
  sync(): Promise<void>
  /** Everything anew, atomically: after a crash either the old content is there or the new. */
  replace(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}
