/**
 * What a soak file exports. A file `soak/<name>.soak.ts` works for minutes to hours; the engine
 * watches what must not grow meanwhile.
 */
export interface Soak {
  /** One sentence: what is done all the time. */
  readonly about: string
  /** Works until the signal aborts, then cleans up and returns. A throw is a failure. */
  run(context: SoakContext): Promise<void>
  /**
   * How much the live heap may grow between the second and the last quarter of the run.
   *
   * @default 8_388_608
   */
  readonly maxGrowthBytes?: number
  /** The same of a run with `--whole`, whose units of work are known. @default maxGrowthBytes */
  readonly maxWholeGrowthBytes?: number
  /** Units of work after which a run with `--whole` ends. Without it that, too, goes by time. */
  readonly cycles?: number
}

export interface SoakContext {
  readonly signal: AbortSignal
  /** Call it once per unit of work: a soak that stops working fails. */
  progress(): void
}
