/** The three tables of `heddle top`: listeners, upstreams with their endpoints, errors. */
import type { EndpointState } from '../../gateway/admin/endpoint-trends.ts'
import type { JsonCluster, JsonEndpoint } from '../../gateway/admin/snapshot.ts'
import type { ListenerStatus } from '../../gateway/status.ts'
import type { Style } from '../terminal.ts'
import { clean } from './cells.ts'
import { type Column, Columns, widest } from './columns.ts'
import { type ClusterRows, type ErrorGroup, type TopModel, worstP99 } from './model.ts'
import {
  formatCount,
  formatDuration,
  formatMs,
  formatRate,
  formatShare,
  formatTime,
} from './numbers.ts'

/** Colours and characters that the terminal can show. */
export interface Palette {
  readonly style: Style
  /** Beyond ASCII. */
  readonly unicode: boolean
}

type Paint = (text: string) => string

export function listenerLines(model: TopModel, width: number, palette: Palette): string[] {
  const { style } = palette
  const listeners = model.listeners()
  if (listeners.length === 0) return []
  const column = (
    title: string,
    cells: number,
    order: number,
    text: (row: ListenerStatus) => string,
    more: Partial<Column<ListenerStatus>> = {},
  ): Column<ListenerStatus> => ({ title, width: cells, order, text, align: 'right', ...more })
  const left = { align: 'left' } as const
  const name = widest(
    listeners.map((one) => one.name),
    9,
    Math.max(9, Math.min(24, width >> 1)),
  )
  const address = widest(
    listeners.map((one) => one.address),
    14,
    40,
  )
  const table = new Columns<ListenerStatus>(
    [
      column('LISTENER', name, 0, (one) => clean(one.name), { ...left, style: () => style.bold }),
      column('ADDRESS', address, 3, (one) => clean(one.address), left),
      column('SPEAKS', 9, 7, (one) => protocolOf(one), { align: 'left' }),
      column('STATE', 9, 4, (one) => one.state, {
        align: 'left',
        style: (one) => (one.state === 'listening' ? style.green : style.yellow),
      }),
      column('REQ/S', 7, 1, (one) => formatRate(model.listenerRate(one.name))),
      column('ACTIVE', 6, 2, (one) => formatCount(one.activeRequests)),
      column('CONNS', 6, 2, (one) => formatCount(one.openConnections)),
      column('REQUESTS', 8, 6, (one) => formatCount(one.requests)),
      column('ERRORS', 6, 5, (one) => formatCount(one.errors), {
        style: (one) => (one.errors > 0 ? style.yellow : style.dim),
      }),
    ],
    width,
  )
  return [style.dim(table.head()), ...listeners.map((one) => table.row(one))]
}

/** A cluster, or an endpoint below it. */
interface UpstreamRow {
  readonly cluster: JsonCluster
  readonly endpoint: JsonEndpoint | undefined
}

export function upstreamLines(model: TopModel, width: number, palette: Palette): string[] {
  const rows = model
    .clusters()
    .flatMap(({ cluster, endpoints }: ClusterRows): UpstreamRow[] => [
      { cluster, endpoint: undefined },
      ...endpoints.map((endpoint) => ({ cluster, endpoint })),
    ])
  const { style } = palette
  if (rows.length === 0) return []
  const table = new Columns(upstreamColumns(rows, width, palette), width)
  return [style.dim(table.head()), ...rows.map((row) => table.row(row))]
}

function upstreamColumns(
  rows: readonly UpstreamRow[],
  width: number,
  palette: Palette,
): Column<UpstreamRow>[] {
  const { style } = palette
  const names = widest(rows.map(nameOf), 14, Math.max(14, Math.min(44, width - 22)))
  const column = (
    title: string,
    cells: number,
    order: number,
    text: (row: UpstreamRow) => string,
    paint?: (row: UpstreamRow) => Paint,
  ): Column<UpstreamRow> => ({
    title,
    width: cells,
    order,
    text,
    align: 'right',
    style: (row) => paint?.(row) ?? (row.endpoint === undefined ? style.bold : plain),
  })
  return [
    { ...column('UPSTREAM', names, 0, nameOf), align: 'left', flexible: true },
    {
      ...column('STATE', 11, 0, (row) => stateText(row, palette), statePaint(style)),
      align: 'left',
    },
    column('REQ/S', 7, 1, (row) => formatRate((row.endpoint ?? row.cluster).requestsPerSecond)),
    column('P50', 7, 6, ({ endpoint }) => (endpoint ? formatMs(endpoint.latency?.p50) : '')),
    column('P99', 7, 2, ({ cluster, endpoint }) =>
      formatMs(endpoint ? endpoint.latency?.p99 : worstP99(cluster)),
    ),
    column(
      'OK',
      6,
      3,
      (row) => formatShare((row.endpoint ?? row.cluster).successRate),
      (row) => sharePaint((row.endpoint ?? row.cluster).successRate, style),
    ),
    column('FLIGHT', 6, 4, (row) => formatCount((row.endpoint ?? row.cluster).inFlight)),
    column('CONNS', 7, 8, ({ endpoint }) => connectionsOf(endpoint)),
    column('REQUESTS', 8, 9, (row) => formatCount((row.endpoint ?? row.cluster).requests)),
    column(
      'FAILED',
      6,
      5,
      (row) => formatCount((row.endpoint ?? row.cluster).failures),
      (row) => ((row.endpoint ?? row.cluster).failures > 0 ? style.yellow : style.dim),
    ),
    column('RETRIES', 7, 10, ({ cluster, endpoint }) =>
      endpoint === undefined ? formatCount(cluster.retries) : '',
    ),
    {
      ...column(
        '',
        18,
        7,
        (row) => noteOf(row, palette),
        ({ cluster, endpoint }) => {
          const wrong = endpoint === undefined && typeof cluster.sourceError === 'string'
          return wrong ? style.red : style.dim
        },
      ),
      align: 'left',
      flexible: true,
    },
  ]
}

export function errorLines(
  groups: readonly ErrorGroup[],
  width: number,
  palette: Palette,
): string[] {
  const { style, unicode } = palette
  const arrow = unicode ? '→' : '->'
  const where = ({ newest }: ErrorGroup): string => {
    const { where: place, upstream } = newest
    return clean(upstream === null ? place : `${place} ${arrow} ${upstream}`)
  }
  const table = new Columns<ErrorGroup>(
    [
      {
        title: 'ERRORS',
        width: 8,
        order: 1,
        text: ({ newest }) => formatTime(newest.time),
        style: () => style.dim,
      },
      {
        title: '',
        width: 4,
        order: 5,
        align: 'right',
        text: ({ count }) => (count > 1 ? `${unicode ? '×' : 'x'}${count}` : ''),
        style: () => style.yellow,
      },
      {
        title: '',
        width: widest(
          groups.map(({ newest }) => newest.code),
          8,
          24,
        ),
        order: 0,
        text: ({ newest }) => clean(newest.code),
        style: () => style.red,
      },
      { title: '', width: widest(groups.map(where), 8, 44), order: 3, text: where },
      {
        title: '',
        width: 16,
        order: 2,
        flexible: true,
        text: ({ newest }) => clean(newest.message),
      },
    ],
    width,
  )
  return [style.dim(table.head()), ...groups.map((group) => table.row(group))]
}

function nameOf({ cluster, endpoint }: UpstreamRow): string {
  return clean(endpoint === undefined ? cluster.name : `  ${endpoint.address}`)
}

function stateText({ cluster, endpoint }: UpstreamRow, { unicode }: Palette): string {
  if (endpoint !== undefined) {
    const [glyph, ascii, word] = STATES[endpoint.state] ?? STATES.unknown
    return `${unicode ? glyph : ascii} ${word}`
  }
  const up = cluster.endpoints.filter(({ state }) => USABLE.has(state)).length
  return `${up}/${cluster.endpoints.length} up`
}

function statePaint(style: Style) {
  return ({ cluster, endpoint }: UpstreamRow): Paint => {
    if (endpoint !== undefined) return paintOf(endpoint.state, style)
    const up = cluster.endpoints.filter(({ state }) => USABLE.has(state)).length
    if (up === 0) return style.red
    return up < cluster.endpoints.length ? style.yellow : style.green
  }
}

function paintOf(state: EndpointState, style: Style): Paint {
  if (state === 'healthy') return style.green
  if (state === 'unknown') return plain
  return state === 'breaker-half-open' || state === 'ejected' ? style.yellow : style.red
}

function sharePaint(share: number | null, style: Style): Paint {
  if (share === null) return style.dim
  if (share >= 0.99) return style.green
  return share >= 0.9 ? style.yellow : style.red
}

function connectionsOf(endpoint: JsonEndpoint | undefined): string {
  if (endpoint === undefined) return ''
  const { idle, leased } = endpoint.connections
  return `${formatCount(leased)}/${formatCount(idle + leased)}`
}

/** Of a cluster where its endpoints come from; of an endpoint why it is not well. */
function noteOf({ cluster, endpoint }: UpstreamRow, { unicode }: Palette): string {
  const dot = unicode ? ' · ' : ', '
  if (endpoint === undefined) {
    if (typeof cluster.sourceError === 'string') return clean(cluster.sourceError)
    const budget = cluster.retryBudget
    const parts = [cluster.source, cluster.balancer.replaceAll('_', ' ')]
    if (budget !== null) parts.push(`budget ${formatShare(budget)}`)
    return clean(parts.filter((part) => typeof part === 'string' && part !== '').join(dot))
  }
  const parts: string[] = []
  if (endpoint.ejected && endpoint.ejectedForMs !== null) {
    parts.push(`for ${formatDuration(endpoint.ejectedForMs)}`)
  }
  if (endpoint.breaker !== 'closed') parts.push(`breaker ${endpoint.breaker}`)
  if (endpoint.healthReason !== null) parts.push(endpoint.healthReason)
  if (endpoint.hostname !== null) parts.push(endpoint.hostname)
  return clean(parts.join(dot))
}

function protocolOf({ transport, protocol }: ListenerStatus): string {
  return transport === 'tls' ? `${protocol}+tls` : protocol
}

const plain: Paint = (text) => text

const STATES: Readonly<
  Record<EndpointState, readonly [glyph: string, ascii: string, word: string]>
> = {
  healthy: ['●', '*', 'healthy'],
  unknown: ['○', 'o', 'unchecked'],
  unhealthy: ['✖', 'x', 'unhealthy'],
  ejected: ['▲', '!', 'ejected'],
  'breaker-open': ['✖', 'x', 'open'],
  'breaker-half-open': ['◐', '~', 'probing'],
}
const USABLE: ReadonlySet<EndpointState> = new Set(['healthy', 'unknown', 'breaker-half-open'])
