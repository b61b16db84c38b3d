/**
 * Metrics as text: Prometheus exposition 0.0.4 and OpenMetrics 1.0, chosen by what the scraper
 * accepts.
 *
 *     # HELP http_server_request_duration_seconds Duration of HTTP server requests.
 *     # TYPE http_server_request_duration_seconds histogram
 *     http_server_request_duration_seconds_bucket{http_route="/api",le="0.005"} 7
 *
 * OpenMetrics also has units, exemplars (a trace id beside a bucket) and a mandatory `# EOF`, by
 * which a scraper knows that it got everything. Names: metric-names.ts.
 */
import type { Attributes } from '../core/metrics.ts'
import type { Exemplar, HistogramSeries } from './instruments.ts'
import { prometheusLabel, prometheusUnit } from './metric-names.ts'
import type { MetricFamily, Registry, Series } from './registry.ts'

export type ExpositionFormat = 'prometheus' | 'openmetrics'

export const EXPOSITION_TYPES: Readonly<Record<ExpositionFormat, string>> = Object.freeze({
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
})

/**
 * The format an `Accept` header asks for. Prometheus' own is the answer to everything else: a person
 * with a browser or curl gets text too.
 */
export function negotiateExposition(accept: string | undefined): ExpositionFormat {
  if (accept === undefined) return 'prometheus'
  let open = 0
  let text = 0
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part.split(';').map((one) => one.trim().toLowerCase())
    const quality = qualityOf(parameters)
    if (type === 'application/openmetrics-text' && acceptsVersion1(parameters)) {
      open = Math.max(open, quality)
    } else if (type === 'text/plain') text = Math.max(text, quality)
  }
  return open > 0 && open >= text ? 'openmetrics' : 'prometheus'
}

export function renderPrometheus(registry: Registry, format: ExpositionFormat): string {
  const lines: string[] = []
  writeTarget(lines, registry.resource, format)
  for (const family of registry.collect()) writeFamily(lines, family, format)
  if (format === 'openmetrics') lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

function writeFamily(lines: string[], family: MetricFamily, format: ExpositionFormat): void {
  const { kind } = family
  const name = family.prometheusName
  // OpenMetrics names the family of a counter without `_total`, its samples with it.
  const isOpen = format === 'openmetrics'
  const familyName = isOpen && kind === 'counter' ? name.slice(0, -'_total'.length) : name
  if (family.description !== '') {
    lines.push(`# HELP ${familyName} ${escapeHelp(family.description, format)}`)
  }
  lines.push(`# TYPE ${familyName} ${kind}`)
  const unit = prometheusUnit(family.unit)
  // The unit must be the end of the name, which it is not when it stood inside the name already.
  if (isOpen && unit !== '' && familyName.endsWith(`_${unit}`)) {
    lines.push(`# UNIT ${familyName} ${unit}`)
  }
  for (const series of family.series) writeSeries(lines, name, series, format)
}

function writeSeries(
  lines: string[],
  name: string,
  series: Series,
  format: ExpositionFormat,
): void {
  const labels = formatLabels(series.attributes)
  if ('bounds' in series) return writeHistogram(lines, name, labels, series, format)
  lines.push(`${name}${labels === '' ? '' : `{${labels}}`} ${formatNumber(series.value)}`)
}

function writeHistogram(
  lines: string[],
  name: string,
  labels: string,
  series: HistogramSeries,
  format: ExpositionFormat,
): void {
  const prefix = `${name}_bucket{${labels === '' ? '' : `${labels},`}le="`
  let cumulative = 0
  for (let index = 0; index < series.counts.length; index++) {
    cumulative += series.counts[index] as number
    const bound = series.bounds[index] ?? Number.POSITIVE_INFINITY
    const exemplar = format === 'openmetrics' ? formatExemplar(series.exemplars?.[index]) : ''
    lines.push(`${prefix}${formatBound(bound, format)}"} ${cumulative}${exemplar}`)
  }
  const suffix = labels === '' ? '' : `{${labels}}`
  lines.push(`${name}_sum${suffix} ${formatNumber(series.sum)}`)
  lines.push(`${name}_count${suffix} ${series.count}`)
}

/** What the process is, once, so that it need not be a label of everything. */
function writeTarget(lines: string[], resource: Attributes, format: ExpositionFormat): void {
  const labels = formatLabels(resource)
  if (labels === '') return
  const isOpen = format === 'openmetrics'
  lines.push(`# HELP ${isOpen ? 'target' : 'target_info'} What this process is.`)
  lines.push(isOpen ? '# TYPE target info' : '# TYPE target_info gauge')
  lines.push(`target_info{${labels}} 1`)
}

/** Attributes whose names become the same label are joined with ';', as the mapping says. */
function formatLabels(attributes: Attributes): string {
  const values = new Map<string, string>()
  for (const key of Object.keys(attributes).sort()) {
    const label = prometheusLabel(key)
    const value = String(attributes[key])
    const before = values.get(label)
    values.set(label, before === undefined ? value : `${before};${value}`)
  }
  let text = ''
  for (const [label, value] of values) {
    text += `${text === '' ? '' : ','}${label}="${escapeLabel(value)}"`
  }
  return text
}

/** ` # {trace_id="…",span_id="…"} value seconds` */
function formatExemplar(exemplar: Exemplar | undefined): string {
  if (exemplar === undefined) return ''
  const { traceId, spanId, value, wallMs } = exemplar
  const time = wallMs === undefined ? '' : ` ${(wallMs / 1_000).toFixed(3)}`
  const labels = `trace_id="${escapeLabel(traceId)}",span_id="${escapeLabel(spanId)}"`
  return ` # {${labels}} ${formatNumber(value)}${time}`
}

function formatNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}

/** OpenMetrics wants bounds as canonical floats (`1.0`), so that both formats give equal series. */
function formatBound(bound: number, format: ExpositionFormat): string {
  const text = formatNumber(bound)
  return format === 'openmetrics' && /^\d+$/.test(text) ? `${text}.0` : text
}

function escapeLabel(value: string): string {
  if (!/[\\\n"]/.test(value)) return value
  return value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"')
}

function escapeHelp(text: string, format: ExpositionFormat): string {
  const escaped = text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
  return format === 'openmetrics' ? escaped.replace(/"/g, '\\"') : escaped
}

function qualityOf(parameters: readonly string[]): number {
  const quality = parameters.find((one) => one.startsWith('q='))
  if (quality === undefined) return 1
  const value = Number(quality.slice(2))
  return value >= 0 && value <= 1 ? value : 0
}

/** Without a version, any will do; version 0.0.1 is a draft that we do not speak. */
function acceptsVersion1(parameters: readonly string[]): boolean {
  const version = parameters.find((one) => one.startsWith('version='))
  return version === undefined || version === 'version=1.0.0'
}
