/**
 * What stands on the screen, as lines; pure. From above: who it is, what goes through it, a notice
 * when something is not as it should be, listeners and upstreams (scrolled), errors, keys.
 */
import type { AdminSnapshot } from '../../gateway/admin/snapshot.ts'
import type { Style } from '../terminal.ts'
import { clean, fit, widthOf } from './cells.ts'
import type { TopModel } from './model.ts'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatMs,
  formatRate,
  formatShare,
  formatTime,
} from './numbers.ts'
import { errorLines, listenerLines, type Palette, upstreamLines } from './tables.ts'

export interface Size {
  readonly columns: number
  readonly rows: number
}

export interface ViewOptions {
  /** The admin service, as the person named it. */
  readonly where: string
  /** Monotonic, for what is left of a wait. */
  readonly now: number
}

/** Exactly `rows` lines. May move `model.scroll` back to where the body ends. */
export function screenLines(
  model: TopModel,
  size: Size,
  palette: Palette,
  options: ViewOptions,
): string[] {
  const { columns, rows } = size
  const width = Math.max(1, columns - 2)
  const head = headLines(model, width, palette, options)
  const errors = errorPart(model, size, width, palette)
  const room = Math.max(0, rows - head.length - errors.length - 1)
  const body = bodyLines(model, width, palette)
  model.scroll = Math.min(model.scroll, Math.max(0, body.length - room))
  const shown = body.slice(model.scroll, model.scroll + room)
  while (shown.length < room) shown.push('')
  const lines = [...head, ...shown, ...errors].slice(0, Math.max(0, rows - 1))
  const margin = lines.map((line) => (line === '' ? '' : ` ${line}`))
  return [
    ...margin,
    footLine(model, columns, palette, { first: model.scroll, room, of: body.length }),
  ]
}

/** Everything once, for a pipe or a log: no frame, nothing left out but long texts. */
export function plainLines(
  model: TopModel,
  width: number,
  palette: Palette,
  options: ViewOptions,
): string[] {
  const errors = model.errors()
  const lines = [...headLines(model, width, palette, options), ...bodyLines(model, width, palette)]
  if (errors.length > 0) lines.push('', ...errorLines(errors, width, palette))
  return lines.map((line) => line.trimEnd())
}

function bodyLines(model: TopModel, width: number, palette: Palette): string[] {
  const listeners = listenerLines(model, width, palette)
  const upstreams = upstreamLines(model, width, palette)
  const lines = [...listeners]
  if (listeners.length > 0 && upstreams.length > 0) lines.push('')
  lines.push(...upstreams)
  if (lines.length === 0 && model.snapshot !== undefined) {
    lines.push(palette.style.dim(model.filter === '' ? 'nothing is configured' : 'nothing matches'))
  }
  return lines
}

/** A fifth of a screen that has room for it. */
function errorPart(model: TopModel, { rows }: Size, width: number, palette: Palette): string[] {
  const most = Math.min(8, Math.floor(rows / 5))
  const groups = model.errors().slice(0, most)
  if (most < 2 || groups.length === 0) return []
  return ['', ...errorLines(groups, width, palette)]
}

function headLines(
  model: TopModel,
  width: number,
  palette: Palette,
  options: ViewOptions,
): string[] {
  const { snapshot } = model
  const { style } = palette
  const notice = noticeOf(model, palette, options)
  const lines: string[] = []
  if (snapshot === undefined) {
    const name = style.bold('heddle top')
    lines.push(`${name}  ${style.dim(fit(options.where, Math.max(0, width - 12)))}`)
  } else {
    const quiet = model.link.state === 'lost'
    lines.push(
      titleLine(snapshot, width, palette, options.where),
      trafficLine(model, snapshot, width, palette, quiet),
      levelLine(snapshot, width, style, quiet),
    )
  }
  lines.push(notice === undefined ? '' : notice.paint(fit(notice.text, width)))
  return lines
}

interface Part {
  readonly text: string
  readonly paint?: (text: string) => string
}

/** As many parts as fit, the first ones being the most important. */
function joinParts(parts: readonly Part[], width: number): { text: string; cells: number } {
  let text = ''
  let cells = 0
  for (const part of parts) {
    const gap = cells === 0 ? 0 : 3
    const needs = gap + widthOf(part.text)
    if (cells + needs > width) break
    text += ' '.repeat(gap) + (part.paint?.(part.text) ?? part.text)
    cells += needs
  }
  return { text, cells }
}

function titleLine(
  snapshot: AdminSnapshot,
  width: number,
  { style, unicode }: Palette,
  where: string,
): string {
  const { phase, version, uptimeMs, config, now } = snapshot
  const file = clean(config.file ?? 'built-in configuration')
  const left = joinParts(
    [
      { text: `heddle ${clean(version)}`, paint: style.bold },
      {
        text: `${unicode ? '●' : '*'} ${phase}`,
        paint: phase === 'ready' ? style.green : style.yellow,
      },
      { text: `up ${formatDuration(uptimeMs)}` },
      { text: `${file} v${config.version}`, paint: style.dim },
    ],
    width,
  )
  const right = `${where}  ${formatTime(now)}`
  const space = width - left.cells - widthOf(right)
  return space < 2 ? left.text : left.text + ' '.repeat(space) + style.dim(right)
}

function trafficLine(
  model: TopModel,
  snapshot: AdminSnapshot,
  width: number,
  { style, unicode }: Palette,
  quiet: boolean,
): string {
  const { latency, requestsPerSecond } = snapshot
  const failed = model.failedShare
  const paint = (wanted: (text: string) => string) => (quiet ? style.dim : wanted)
  const parts = joinParts(
    [
      { text: `${formatRate(requestsPerSecond)} req/s`, paint: paint(style.bold) },
      { text: `p50 ${formatMs(latency.p50)}`, paint: paint((text) => text) },
      { text: `p99 ${formatMs(latency.p99)}`, paint: paint((text) => text) },
      {
        text: `ok ${formatShare(failed === undefined ? undefined : 1 - failed)}`,
        paint: paint(failed === undefined || failed <= 0.01 ? style.green : style.red),
      },
    ],
    width,
  )
  const room = Math.min(60, width - parts.cells - 3)
  if (!unicode || room < 8) return parts.text
  const bars = sparkline(
    model.traffic.map(({ requests }) => requests),
    room,
  )
  // At the right edge, under the clock: the newest second is there.
  return parts.text + ' '.repeat(width - parts.cells - room) + paint(style.cyan)(bars)
}

function levelLine(snapshot: AdminSnapshot, width: number, style: Style, quiet: boolean): string {
  const { totals, process, history } = snapshot
  const retries = history.retries.at(-1) ?? 0
  const parts: Part[] = [
    { text: `${formatCount(totals.activeRequests)} active` },
    { text: `${formatCount(totals.openConnections)} open` },
    { text: `${formatRate(retries)} retries/s`, paint: retries > 0 ? style.yellow : style.dim },
  ]
  if (process !== null) {
    parts.push(
      { text: `cpu ${formatShare(process.cpu)}` },
      { text: `loop ${formatShare(process.loop)}` },
      { text: `memory ${formatBytes(process.residentBytes)}` },
    )
  }
  parts.push({ text: `${formatCount(totals.requests)} requests`, paint: style.dim })
  const { text } = joinParts(
    quiet ? parts.map((part) => ({ text: part.text, paint: style.dim })) : parts,
    width,
  )
  return text
}

/** The last values, the highest as a whole block. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width)
  const most = Math.max(1, ...shown)
  const bars = shown.map((value) => {
    if (value <= 0) return ' '
    return BARS[Math.min(BARS.length - 1, Math.floor((value / most) * BARS.length))] as string
  })
  return bars.join('').padStart(width)
}

function noticeOf(
  model: TopModel,
  { style }: Palette,
  { where, now }: ViewOptions,
): { text: string; paint: (text: string) => string } | undefined {
  const { link, snapshot, paused } = model
  if (link.state === 'connecting') return { text: `asking ${where} …`, paint: style.dim }
  if (link.state === 'lost') {
    const wait = Math.max(0, Math.ceil((link.retryAt - now) / 1_000))
    const again = wait === 0 ? 'trying again' : `trying again in ${wait}s`
    const what = snapshot === undefined ? 'no gateway' : 'gateway gone, numbers are old'
    return { text: `${what}; ${again}: ${clean(link.reason)}`, paint: style.red }
  }
  if (snapshot?.phase === 'draining') {
    return {
      text: 'draining: it finishes what is in flight and takes nothing new',
      paint: style.yellow,
    }
  }
  const broken = snapshot?.config.lastError
  if (typeof broken === 'string') {
    return { text: `the configuration on disk is broken: ${clean(broken)}`, paint: style.yellow }
  }
  return paused ? { text: 'paused: p goes on', paint: style.yellow } : undefined
}

function footLine(
  model: TopModel,
  columns: number,
  { style, unicode }: Palette,
  place: { readonly first: number; readonly room: number; readonly of: number },
): string {
  if (model.typing) {
    const text = ` filter: ${clean(model.filter)}_   enter keeps it, esc clears it`
    return style.inverse(fit(text, columns))
  }
  const arrows = unicode ? '↑↓' : 'up/down'
  const direction = model.reversed ? ' reversed' : ''
  const filter = model.filter === '' ? '/ filter' : `/ filter: ${clean(model.filter)} (esc clears)`
  const keys = ['q quit', `s sort: ${model.sort}${direction}`, 'r reverse', 'p pause', filter]
  if (place.of > place.room) {
    const last = Math.min(place.of, place.first + place.room)
    keys.push(`${arrows} ${place.first + 1}-${last} of ${place.of}`)
  }
  let text = ''
  for (const key of keys) {
    if (widthOf(text) + widthOf(key) + 3 > columns) break
    text += ` ${key}  `
  }
  return style.inverse(fit(text, columns))
}

const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
