/**
 * A client's stack as it is: the layers with their parameters, and what each of them is up to now.
 * As text for people (a tree, no colours, stable order) and as data for a dashboard.
 */

import type { ClientStatus } from '../../core/service.ts'
import type { CallCounts, ClientCore } from '../client.ts'
import type { EndpointStack } from '../endpoint-stack.ts'
import type { Facts, Layer } from './layer.ts'

export interface Explanation {
  readonly name: string
  readonly status: ClientStatus
  readonly target: string
  readonly calls: CallCounts
  /** The resolver's last error, when its last word was one. */
  readonly resolveError: string | undefined
  readonly layers: readonly LayerExplanation[]
  readonly balancer: string
  readonly balancing: BalancingExplanation
  readonly endpoints: readonly EndpointExplanation[]
}

export interface LayerExplanation {
  readonly name: string
  readonly rule: string
  /** False: not configured, calls pass it by. */
  readonly active: boolean
  readonly parameters: Facts
  readonly state: Facts
}

export interface BalancingExplanation {
  /** Endpoints that there are; more than are listed with a subset. */
  readonly offered: number
  /** What strategy and balancing were told. */
  readonly parameters: Facts
  /** Best first. */
  readonly priorities: readonly PriorityExplanation[]
}

export interface PriorityExplanation {
  readonly priority: number
  /** Share of the calls. */
  readonly share: number
  /** Share of its weight that serves. */
  readonly healthy: number
  /** Everything is used, whatever its health. */
  readonly panicking: boolean
  /** Of this priority's calls, those that stay in the own zone; undefined without locality. */
  readonly ownZoneShare: number | undefined
}

export interface EndpointExplanation {
  readonly address: string
  readonly hostname: string | undefined
  readonly weight: number
  readonly priority: number
  readonly available: boolean
  readonly inFlight: number
  readonly latencyMs: number | undefined
  readonly locality: string | undefined
  /** By health checks. */
  readonly healthy: boolean
  /** Undefined: it is not ejected. */
  readonly ejectedForMs: number | undefined
  /** Share of its weight that it has, while it starts slowly. */
  readonly slowStartShare: number | undefined
  readonly layers: readonly LayerExplanation[]
}

/** What a client's stack looks like now. */
export function explain<Req, Res>(client: ClientCore<Req, Res>): Explanation {
  const now = client.clock.now()
  return {
    name: client.name,
    status: client.status,
    target: client.endpoints.target,
    calls: client.counts,
    resolveError: client.endpoints.lastError?.message,
    layers: client.layers.map((layer) => explainLayer(layer, now)),
    balancer: client.balancer.name,
    balancing: explainBalancing(client, now),
    endpoints: [...client.endpoints.nodes].map((stack) => explainEndpoint(client, stack, now)),
  }
}

/** The same as a tree of text. `rules` adds why each layer stands where it does. */
export function explainText<Req, Res>(
  client: ClientCore<Req, Res>,
  options: { rules?: boolean } = {},
): string {
  const explained = explain(client)
  const { name, status, target, calls, resolveError, layers, balancer, endpoints } = explained
  const { rules = false } = options
  const { started, succeeded, failed, inFlight } = calls
  const counts = `${started} calls: ${succeeded} succeeded, ${failed} failed, ${inFlight} in flight`
  const head = name === target ? name : `${name} → ${target}`
  const lines = [`client ${head} (${status}), ${counts}`]
  for (const layer of layers) lines.push(...layerLines(layer, '├─ ', '│  ', rules))
  const available = endpoints.filter((endpoint) => endpoint.available).length
  const trouble = resolveError === undefined ? '' : `, resolver: ${resolveError}`
  const { offered } = explained.balancing
  const subset = offered > endpoints.length ? `, a subset of ${offered}` : ''
  const counted = `${available} of ${endpoints.length} available${subset}${trouble}`
  lines.push(`└─ balancer ${balancer}: ${counted}`)
  lines.push(...balancingLines(explained.balancing))
  endpoints.forEach((endpoint, index) => {
    const isLast = index === endpoints.length - 1
    lines.push(`   ${isLast ? '└─' : '├─'} ${endpointText(endpoint)}`)
    const indent = isLast ? '      ' : '   │  '
    endpoint.layers.forEach((layer, at) => {
      const isLastLayer = at === endpoint.layers.length - 1
      const branch = `${indent}${isLastLayer ? '└─ ' : '├─ '}`
      lines.push(...layerLines(layer, branch, `${indent}${isLastLayer ? '   ' : '│  '}`, rules))
    })
  })
  return lines.join('\n')
}

function explainLayer<Req, Res>(layer: Layer<Req, Res>, now: number): LayerExplanation {
  const { name, rule, middleware, parameters = {} } = layer
  const state = layer.state?.(now) ?? {}
  return { name, rule, active: middleware !== undefined || hasFacts(parameters), parameters, state }
}

function explainBalancing<Req, Res>(
  client: ClientCore<Req, Res>,
  now: number,
): BalancingExplanation {
  const { balancer } = client
  const { balancing, outliers, strategy } = balancer
  const { panicThreshold, overprovisioning, locality, slowStart, subset } = balancing
  const levels = balancer.levels(now)
  let below = 0
  return {
    offered: client.endpoints.offered,
    parameters: {
      ...strategy.parameters,
      ...outliers?.options,
      ...slowStart,
      ...locality,
      ...subset,
      ...(panicThreshold > 0 && { panicThreshold }),
      ...((levels.length > 1 || locality) && { overprovisioning }),
    },
    priorities: levels.map((level) => {
      const share = Math.max(0, level.upTo - below)
      below = Math.max(below, level.upTo)
      return {
        priority: level.priority,
        share,
        healthy: level.total === 0 ? 0 : level.healthy / level.total,
        panicking: level.panicking,
        ownZoneShare: locality && level.nearShare,
      }
    }),
  }
}

function explainEndpoint<Req, Res>(
  client: ClientCore<Req, Res>,
  stack: EndpointStack<Req, Res>,
  now: number,
): EndpointExplanation {
  const { endpoint, address, layers } = stack
  const { balancer } = client
  const { ejectedForMs, slowStartShare, healthy } = balancer.balanceOf(stack, now)
  return {
    address,
    hostname: endpoint.hostname,
    weight: endpoint.weight ?? 1,
    priority: endpoint.priority ?? 0,
    available: stack.available(now),
    inFlight: balancer.loadOf(stack),
    latencyMs: balancer.latencyOf(stack, now),
    locality: endpoint.locality,
    healthy,
    ejectedForMs,
    slowStartShare,
    layers: layers.map((layer) => explainLayer(layer, now)),
  }
}

function endpointText(endpoint: EndpointExplanation): string {
  const { address, hostname, weight, priority, available, inFlight, latencyMs } = endpoint
  const { locality, healthy, ejectedForMs, slowStartShare } = endpoint
  const parts = [hostname === undefined ? address : `${address} (${hostname})`]
  if (weight !== 1) parts.push(`weight ${weight}`)
  if (priority !== 0) parts.push(`priority ${priority}`)
  if (locality !== undefined) parts.push(`zone ${locality}`)
  parts.push(available ? 'available' : 'not available')
  if (!healthy) parts.push('unhealthy')
  if (ejectedForMs !== undefined) parts.push(`ejected for another ${ejectedForMs} ms`)
  if (slowStartShare !== undefined) parts.push(`slow start at ${percent(slowStartShare)}`)
  parts.push(`${inFlight} in flight`)
  if (latencyMs !== undefined) parts.push(`latency ${latencyMs.toFixed(1)} ms`)
  return parts.join(', ')
}

/** What was told, and how the calls are divided where that is not plain. */
function balancingLines({ parameters, priorities }: BalancingExplanation): string[] {
  const lines = wrap(factsText(parameters), '     ')
  for (const level of priorities) {
    const { priority, share, healthy, panicking, ownZoneShare } = level
    if (priorities.length === 1 && !panicking && ownZoneShare === undefined) continue
    const zone = ownZoneShare === undefined ? '' : `, ${percent(ownZoneShare)} in the own zone`
    const panic = panicking ? ', panic: all are used' : ''
    const calls = `${percent(share)} of the calls, ${percent(healthy)} healthy`
    lines.push(`     priority ${priority}: ${calls}${zone}${panic}`)
  }
  return lines
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

/** The layer's name and state, and below it what it was told, in lines of at most `COLUMNS`. */
function layerLines(
  layer: LayerExplanation,
  branch: string,
  below: string,
  rules: boolean,
): string[] {
  const lines: string[] = []
  if (layer.active) {
    const state = factsText(layer.state)
    const name = `${branch}${layer.name}`
    lines.push(...(state.length === 0 ? [name] : wrap(state, `${below}  `, `${name}: `)))
    lines.push(...wrap(factsText(layer.parameters), `${below}  `))
  } else lines.push(`${branch}${layer.name}: off`)
  if (rules) lines.push(...wrap([layer.rule], `${below}  · `))
  return lines
}

function wrap(parts: readonly string[], indent: string, first: string = indent): string[] {
  const lines: string[] = []
  for (const part of parts) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + part.length + 2 <= COLUMNS) {
      lines[lines.length - 1] = `${last}, ${part}`
    } else lines.push(`${last === undefined ? first : indent}${part}`)
  }
  return lines
}

function factsText(facts: Facts): string[] {
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => (value === true ? name : `${name} ${value}`))
}

function hasFacts(facts: Facts): boolean {
  return Object.values(facts).some((value) => value !== undefined && value !== false)
}

const COLUMNS = 100
