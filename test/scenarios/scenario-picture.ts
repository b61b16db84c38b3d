/**
 * The picture of a scenario as SVG: success and p99 over time, without policies and with all of
 * them. It carries its numbers as data, and is drawn from nothing else; it brings its own background
 * and follows the reader's colour scheme.
 */
import { type CallRecord, PHASES, type ScenarioRun, summarize } from './one-bad-upstream.ts'

/** What is drawn, rounded as it is shown. */
export interface PictureData {
  readonly none: Series
  readonly full: Series
}

export interface Series {
  /** Percent, by second. */
  readonly success: readonly number[]
  /** Milliseconds, by second, of the last four seconds. */
  readonly p99: readonly number[]
  /** By phase. */
  readonly phases: readonly PhaseFigures[]
}

export interface PhaseFigures {
  readonly name: string
  readonly success: number
  readonly p99Ms: number
}

export function pictureData(none: ScenarioRun, full: ScenarioRun): PictureData {
  return { none: seriesOf(none.calls), full: seriesOf(full.calls) }
}

function seriesOf(calls: readonly CallRecord[]): Series {
  const seconds = Array.from({ length: SECONDS }, (_, second) => second * 1_000)
  return {
    success: seconds.map((at) => round(summarize(calls, at, at + 1_000).success * 100, 1)),
    p99: seconds.map((at) => round(summarize(calls, at - 3_000, at + 1_000).p99Ms, 0)),
    phases: PHASES.map(({ name, fromMs, toMs }) => {
      const { success, p99Ms } = summarize(calls, fromMs, toMs)
      return { name, success: round(success * 100, 2), p99Ms: round(p99Ms, 0) }
    }),
  }
}

/** The numbers that a picture was drawn from. */
export function dataOf(svg: string): PictureData {
  const found = /<metadata>(.*)<\/metadata>/s.exec(svg)?.[1]
  return JSON.parse(found ?? 'null') as PictureData
}

export function picture(data: PictureData): string {
  const { none, full } = data
  const limitMs = 2 * (full.phases[0] as PhaseFigures).p99Ms
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title desc">`,
    `<title id="title">One of three upstreams turns slow, fails and returns</title>`,
    `<desc id="desc">${description(data)}</desc>`,
    `<metadata>${JSON.stringify(data)}</metadata>`,
    `<style>${STYLE}</style>`,
    `<rect class="card" width="${WIDTH}" height="${HEIGHT}" rx="10"/>`,
    text(LEFT, 34, 'One of three upstreams turns slow, fails and returns', 'heading'),
    ...legend(),
    ...phases(),
    ...panel(SUCCESS, 'calls that succeed, by second', [0, 50, 100], (value) => `${value} %`),
    line(SUCCESS, none.success, 'none'),
    line(SUCCESS, full.success, 'full'),
    ...marks(none.success, full.success),
    ...panel(LATENCY, 'p99 of the last 4 s, until answer or error', [10, 100, 1_000], ms),
    `<path class="limit" d="M${LEFT} ${LATENCY.y(limitMs)}H${RIGHT}"/>`,
    text(RIGHT + 6, LATENCY.y(limitMs) + 4, `2 × healthy`, 'small'),
    line(LATENCY, none.p99, 'none'),
    line(LATENCY, full.p99, 'full'),
    ...seconds(),
    '</svg>',
  ]
  return `${out.join('\n')}\n`
}

interface Panel {
  readonly top: number
  readonly bottom: number
  y(value: number): number
}

function panel(
  { top, bottom, y }: Panel,
  what: string,
  ticks: readonly number[],
  label: (tick: number) => string,
): string[] {
  return [
    text(LEFT, top - 12, what, 'what'),
    ...ticks.flatMap((tick) => [
      `<path class="grid" d="M${LEFT} ${y(tick)}H${RIGHT}"/>`,
      text(LEFT - 8, y(tick) + 4, label(tick), 'tick'),
    ]),
    `<path class="axis" d="M${LEFT} ${top}V${bottom}H${RIGHT}"/>`,
  ]
}

function line({ y }: Panel, values: readonly number[], className: string): string {
  const points = values.map((value, second) => `${x(second + 0.5)} ${y(value)}`)
  return `<path class="${className}" d="M${points.join('L')}"/>`
}

/** The least of both, as a number below its line. */
function marks(none: readonly number[], full: readonly number[]): string[] {
  return [none, full].map((values) => {
    const least = Math.min(...values)
    const lowest = values.indexOf(least)
    const at = least === values[0] ? SECONDS / 2 : lowest
    return text(x(at + 0.5), SUCCESS.y(least) + 19, `${round(least, 0)} %`, 'mark')
  })
}

/** Bands behind both panels, named at the top. */
function phases(): string[] {
  return PHASES.flatMap(({ name, fromMs, toMs, behaviour }) => {
    const [from, to] = [x(fromMs / 1_000), x(toMs / 1_000)]
    const band = `<rect class="band" x="${from + 1}" y="${BAND_TOP}" width="${to - from - 2}" height="${LATENCY.bottom - BAND_TOP}"/>`
    const label = name === 'healthy' ? 'all are well' : `b is ${name}`
    return [
      ...(behaviour === 'healthy' ? [] : [band]),
      text((from + to) / 2, BAND_TOP + 15, label, 'phase'),
    ]
  })
}

function legend(): string[] {
  return [
    `<path class="none" d="M${LEFT} 56h26"/>`,
    text(LEFT + 34, 60, 'no policies: round robin, a limit of 1 s', 'key'),
    `<path class="full" d="M${LEFT + 300} 56h26"/>`,
    text(LEFT + 334, 60, 'the whole stack: p2c, hedge, retry, breaker, ejection', 'key'),
  ]
}

function seconds(): string[] {
  return [0, 10, 20, 30, 40].map((second) =>
    text(x(second), LATENCY.bottom + 18, `${second} s`, 'phase'),
  )
}

function description({ none, full }: PictureData): string {
  const tell = ({ phases }: Series): string =>
    phases.map(({ name, success, p99Ms }) => `${name} ${success} %, p99 ${p99Ms} ms`).join('; ')
  return `Without policies: ${tell(none)}. With the whole stack: ${tell(full)}.`
}

function text(x: number, y: number, content: string, className: string): string {
  return `<text class="${className}" x="${x}" y="${round(y, 1)}">${content}</text>`
}

const ms = (value: number): string => (value >= 1_000 ? `${value / 1_000} s` : `${value} ms`)

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits
}

const x = (second: number): number => round(LEFT + ((RIGHT - LEFT) * second) / SECONDS, 1)

const WIDTH = 860
const HEIGHT = 480
const LEFT = 70
const RIGHT = 770
const BAND_TOP = 76
const SECONDS = 40

const SUCCESS: Panel = {
  top: 128,
  bottom: 238,
  y: (value) => round(238 - (value / 100) * 100, 1),
}

/** Logarithmic: 10 ms to 1.5 s. */
const LATENCY: Panel = {
  top: 288,
  bottom: 440,
  y(value) {
    const share = Math.log(Math.max(8, value) / 8) / Math.log(1_500 / 8)
    return round(440 - Math.min(1, share) * 152, 1)
  },
}

const STYLE = `
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328 }
.card { fill: #ffffff; stroke: #d1d9e0 }
.heading { font-size: 17px; font-weight: 600 }
.what { font-weight: 600 }
.tick { text-anchor: end; fill: #59636e }
.phase { text-anchor: middle; fill: #59636e }
.mark { text-anchor: middle; font-size: 12px }
.small { font-size: 12px; fill: #59636e }
.band { fill: #818b98; fill-opacity: 0.14 }
.grid { stroke: #d1d9e0; fill: none }
.axis { stroke: #818b98; fill: none }
.limit { stroke: #59636e; stroke-dasharray: 5 4; fill: none }
.none, .full { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round }
.none { stroke: #c2410c; stroke-dasharray: 1 5; stroke-width: 3 }
.full { stroke: #0e7490 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .card { fill: #0d1117; stroke: #3d444d }
  .tick, .phase, .small { fill: #9198a1 }
  .band { fill-opacity: 0.22 }
  .grid { stroke: #2f353d }
  .axis { stroke: #656c76 }
  .limit { stroke: #9198a1 }
  .none { stroke: #fb923c }
  .full { stroke: #22d3ee }
}
`
