/** Exit codes of the command line, as sysexits.h names them; docs/gateway.md lists them. */
export const ExitCode = Object.freeze({
  OK: 0,
  FAILURE: 1,
  /** Wrong flags or arguments. */
  USAGE: 64,
  /** An input file is not there. */
  NO_INPUT: 66,
  /** An address is in use, or cannot be had. */
  UNAVAILABLE: 69,
  /** A bug of ours. */
  SOFTWARE: 70,
  /** Permission denied. */
  NO_PERMISSION: 77,
  /** The configuration is wrong. */
  CONFIG: 78,
  /** Ended by SIGINT, as shells say it: 128 and its number. */
  INTERRUPTED: 130,
})
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]
