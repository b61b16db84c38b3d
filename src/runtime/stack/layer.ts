/**
 * A stack is a list of layers, outermost first, around a service. The list is what is built, what
 * `explain` prints and what the pins test compares: there is no other place where order is made.
 */
import type { Middleware, Service } from '../../core/service.ts'

export interface Layer<Req, Res> {
  readonly name: LayerName
  /** Why it stands where it stands. */
  readonly rule: string
  /** Undefined: the layer is not configured; its place is still shown. */
  readonly middleware: Middleware<Req, Res> | undefined
  /** What it was told. */
  readonly parameters?: Facts
  /** How it is now. */
  state?(now: number): Facts
}

export type LayerName = string

/** Names and values as they are printed. Undefined values are left out. */
export type Facts = Readonly<Record<string, string | number | boolean | undefined>>

/** Wraps `service` in the layers; the first of them is the outermost. */
export function stackLayers<Req, Res>(
  layers: readonly Layer<Req, Res>[],
  service: Service<Req, Res>,
): Service<Req, Res> {
  return layers.reduceRight(
    (inner, layer) => (layer.middleware === undefined ? inner : layer.middleware(inner)),
    service,
  )
}
