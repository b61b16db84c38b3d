/**
 * OpenTelemetry names as Prometheus names, by the mapping of the OpenTelemetry specification
 * ("Prometheus and OpenMetrics Compatibility").
 *
 *     http.server.request.duration  s     histogram  http_server_request_duration_seconds
 *     heddle.client.retries         {try} counter    heddle_client_retries_total
 *     heddle.transport.read         By    counter    heddle_transport_read_bytes_total
 *
 * Every character a Prometheus name cannot hold becomes `_`, runs of `_` become one, the unit is
 * spelled out at the end, and a counter ends with `_total`.
 */

export type MetricKind = 'counter' | 'gauge' | 'histogram'

/** The name of a metric's samples, for histograms without `_bucket`, `_sum`, `_count`. */
export function prometheusName(name: string, kind: MetricKind, unit: string): string {
  let tokens = name.split(/[^a-zA-Z0-9:]+/).filter((token) => token !== '')
  for (const token of unitTokens(unit)) if (!tokens.includes(token)) tokens.push(token)
  // Dimensionless gauges are ratios; dimensionless counters and histograms are counts.
  if (unit === '1' && kind === 'gauge' && !tokens.includes('ratio')) tokens.push('ratio')
  if (kind === 'counter') {
    tokens = tokens.filter((token) => token !== 'total')
    tokens.push('total')
  }
  return notStartingWithDigit(tokens.join('_'))
}

/** The unit as OpenMetrics names it (`seconds`), or '' for a unit that is not part of the name. */
export function prometheusUnit(unit: string): string {
  return unitTokens(unit).join('_')
}

/** `http.request.method` → `http_request_method`. */
export function prometheusLabel(key: string): string {
  return notStartingWithDigit(key.replace(/[^a-zA-Z0-9_]+/g, '_'))
}

function notStartingWithDigit(name: string): string {
  return /^[0-9]/.test(name) ? `_${name}` : name
}

function unitTokens(unit: string): readonly string[] {
  // Annotations in braces are for people: `{request}` has no unit, `By{payload}` is bytes.
  const [main = '', per] = unit.replace(/\{[^}]*\}/g, '').split('/')
  const tokens: string[] = []
  if (main !== '' && main !== '1') tokens.push(UNITS[main] ?? prometheusLabel(main))
  if (per !== undefined && per !== '') tokens.push('per', PER_UNITS[per] ?? prometheusLabel(per))
  return tokens
}

const UNITS: Readonly<Record<string, string>> = Object.freeze({
  d: 'days',
  h: 'hours',
  min: 'minutes',
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
  By: 'bytes',
  KiBy: 'kibibytes',
  MiBy: 'mebibytes',
  GiBy: 'gibibytes',
  Hz: 'hertz',
  '%': 'percent',
})

const PER_UNITS: Readonly<Record<string, string>> = Object.freeze({
  s: 'second',
  min: 'minute',
  h: 'hour',
  d: 'day',
})
