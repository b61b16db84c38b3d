/** `heddle/fragmented`: long messages over carriers of short ones, in pieces. */

export * from '../links/fragmented/fragmented.ts'
export type { FragmentedConnection } from '../links/fragmented/fragmented-connection.ts'
