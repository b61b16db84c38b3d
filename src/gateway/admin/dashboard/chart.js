/**
 * A small time chart in SVG: one value a second, newest at the right edge, relative times below.
 *
 * Colours come from the style sheet, so that dark and light need no redrawing. The scale follows the
 * data in round steps and is slow to shrink: a chart that breathes each second cannot be read.
 * With the pointer or the arrow keys every second can be looked at.
 */
import { niceCeiling } from './format.js'

const NAMESPACE = 'http://www.w3.org/2000/svg'
const MARGIN = { top: 10, right: 12, bottom: 24, left: 58 }
const Y_STEPS = 4
/** The scale shrinks when the data need less than this share of it. */
const SHRINK_BELOW = 0.4

export class TimeChart {
  #box
  #series
  #options
  #svg = make('svg', { class: 'plot', role: 'img', tabindex: '0' })
  #grid = make('g', { class: 'grid' })
  #marks = make('g', { class: 'marks' })
  #cursor = make('line', { class: 'cursor', visibility: 'hidden' })
  #tip = document.createElement('div')
  #data = { columns: {}, end: 0 }
  #seconds = 120
  #top = 0
  #size = { width: 0, height: 0 }
  /** Seconds before the newest point that the cursor stands at; undefined: no cursor. */
  #back

  /**
   * @param box element that gives the size
   * @param series from bottom to top: `{ key, label, tone, stack?, area? }`
   * @param options `{ title, format, axis, minTop }`: the scale never ends below `minTop`
   */
  constructor(box, series, options) {
    this.#box = box
    this.#series = series
    this.#options = options
    this.#tip.className = 'tip'
    this.#tip.hidden = true
    this.#svg.append(this.#grid, this.#marks, this.#cursor)
    box.append(this.#svg, this.#tip)
    for (const one of series) {
      const tone = `tone-${one.tone}`
      one.areaPath = make('path', { class: `area ${tone}` })
      one.linePath = make('path', { class: `line ${tone}` })
      this.#marks.append(one.areaPath, one.linePath)
    }
    new ResizeObserver(() => this.#resize()).observe(box)
    this.#listen()
  }

  set seconds(value) {
    this.#seconds = value
    this.#top = 0
    this.#draw()
  }

  /** @param data `{ columns: { key: numbers or nulls }, end: wall time of the right edge }` */
  update(data) {
    this.#data = data
    this.#draw()
  }

  #resize() {
    const { width, height } = this.#box.getBoundingClientRect()
    if (width === this.#size.width && height === this.#size.height) return
    this.#size = { width, height }
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
    this.#draw()
  }

  #draw() {
    if (this.#size.width === 0) return
    const layers = this.#layers()
    this.#rescale(layers)
    const x = (back) => this.#x(back)
    const y = (value) => this.#y(value)
    for (const { series, low, high } of layers) {
      series.linePath.setAttribute('d', linePath(high, x, y))
      const filled = series.area || series.stack
      series.areaPath.setAttribute('d', filled ? areaPath(low, high, x, y) : '')
    }
    this.#drawGrid()
    this.#drawCursor()
    this.#svg.setAttribute('aria-label', this.#summary())
  }

  /** Each series with its lower and upper edge, newest last; stacked ones stand on one another. */
  #layers() {
    let base
    return this.#series.map((series) => {
      const values = (this.#data.columns[series.key] ?? []).slice(-this.#seconds)
      if (!series.stack) return { series, low: values.map(() => 0), high: values }
      const low = base ?? values.map(() => 0)
      base = values.map((value, index) => (value ?? 0) + (low[index] ?? 0))
      return { series, low, high: base }
    })
  }

  #rescale(layers) {
    let max = 0
    for (const { high } of layers) for (const value of high) if (value > max) max = value
    const wanted = niceCeiling(Math.max(max, this.#options.minTop))
    if (wanted > this.#top || wanted < this.#top * SHRINK_BELOW) this.#top = wanted
  }

  #drawGrid() {
    const { width, height } = this.#size
    const parts = []
    for (let step = 0; step <= Y_STEPS; step++) {
      const value = (this.#top / Y_STEPS) * step
      const y = Math.round(this.#y(value)) + 0.5
      parts.push(make('line', { x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }))
      parts.push(label(this.#options.axis(value), MARGIN.left - 8, y + 4, 'end'))
    }
    const marks = width < 420 ? 2 : 4
    for (let step = 0; step <= marks; step++) {
      const back = (this.#seconds / marks) * step
      const anchor = step === 0 ? 'end' : step === marks ? 'start' : 'middle'
      const text = step === 0 ? 'now' : relative(back)
      parts.push(label(text, this.#x(back), height - 6, anchor))
    }
    this.#grid.replaceChildren(...parts)
  }

  #drawCursor() {
    const count = Math.min(this.#seconds, this.#longest())
    const back = this.#back === undefined ? undefined : Math.min(this.#back, count - 1)
    const visible = back !== undefined && count > 0
    this.#cursor.setAttribute('visibility', visible ? 'visible' : 'hidden')
    this.#tip.hidden = !visible
    if (!visible) return
    const x = this.#x(back)
    for (const end of ['x1', 'x2']) this.#cursor.setAttribute(end, x)
    this.#cursor.setAttribute('y1', MARGIN.top)
    this.#cursor.setAttribute('y2', this.#size.height - MARGIN.bottom)
    this.#fillTip(back)
    const onLeft = x > this.#size.width / 2
    this.#tip.style.transform = onLeft
      ? `translate(calc(${x - 12}px - 100%), ${MARGIN.top}px)`
      : `translate(${x + 12}px, ${MARGIN.top}px)`
  }

  #fillTip(back) {
    const head = document.createElement('p')
    head.textContent = back === 0 ? 'last second' : `${relative(back)} ago`
    const lines = [...this.#series].reverse().map((series) => {
      const line = document.createElement('p')
      const swatch = document.createElement('span')
      swatch.className = `swatch tone-${series.tone}`
      const name = document.createElement('span')
      name.textContent = series.label
      const value = document.createElement('b')
      value.textContent = this.#options.format((this.#data.columns[series.key] ?? []).at(-1 - back))
      line.append(swatch, name, value)
      return line
    })
    this.#tip.replaceChildren(head, ...lines)
  }

  #listen() {
    const svg = this.#svg
    svg.addEventListener('pointermove', (event) => {
      const { left } = svg.getBoundingClientRect()
      const inner = this.#size.width - MARGIN.left - MARGIN.right
      const share = 1 - (event.clientX - left - MARGIN.left) / inner
      this.#moveTo(Math.round(share * this.#seconds))
    })
    svg.addEventListener('pointerleave', () => this.#moveTo(undefined))
    svg.addEventListener('blur', () => this.#moveTo(undefined))
    svg.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: 1, ArrowRight: -1, PageUp: 10, PageDown: -10 }[event.key]
      if (step !== undefined) this.#moveTo((this.#back ?? 0) + step)
      else if (event.key === 'Escape') this.#moveTo(undefined)
      else return
      event.preventDefault()
    })
  }

  #moveTo(back) {
    this.#back = back === undefined ? undefined : Math.max(0, Math.min(back, this.#seconds - 1))
    this.#drawCursor()
  }

  #longest() {
    return Math.max(0, ...this.#series.map(({ key }) => (this.#data.columns[key] ?? []).length))
  }

  #x(back) {
    const inner = this.#size.width - MARGIN.left - MARGIN.right
    return MARGIN.left + inner * (1 - back / this.#seconds)
  }

  #y(value) {
    const inner = this.#size.height - MARGIN.top - MARGIN.bottom
    return MARGIN.top + inner * (1 - value / (this.#top || 1))
  }

  #summary() {
    const now = this.#series.map(({ key, label: name }) => {
      return `${name} ${this.#options.format((this.#data.columns[key] ?? []).at(-1))}`
    })
    return `${this.#options.title}, last ${relative(this.#seconds)}. Now: ${now.join(', ')}`
  }
}

/** `M` where a line begins, `L` where it goes on: a gap where nothing is known. */
export function linePath(values, x, y) {
  let path = ''
  let open = false
  for (const [index, value] of values.entries()) {
    if (value === null || value === undefined) {
      open = false
      continue
    }
    const back = values.length - 1 - index
    path += `${open ? 'L' : 'M'}${x(back).toFixed(1)} ${y(value).toFixed(1)}`
    open = true
  }
  return path
}

/** One closed shape for each run of known values. */
export function areaPath(low, high, x, y) {
  let path = ''
  let from = 0
  for (let index = 0; index <= high.length; index++) {
    const known = index < high.length && high[index] !== null && high[index] !== undefined
    if (known) continue
    if (index > from) {
      const at = (position) => x(high.length - 1 - position).toFixed(1)
      const range = Array.from({ length: index - from }, (_, offset) => from + offset)
      const upper = range.map((position) => `${at(position)} ${y(high[position]).toFixed(1)}`)
      const lower = range.map((position) => `${at(position)} ${y(low[position] ?? 0).toFixed(1)}`)
      path += `M${[...upper, ...lower.reverse()].join('L')}Z`
    }
    from = index + 1
  }
  return path
}

function relative(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = seconds / 60
  return Number.isInteger(minutes)
    ? `${minutes} min`
    : `${Math.floor(minutes)} min ${Math.round(seconds % 60)} s`
}

function make(name, attributes) {
  const element = document.createElementNS(NAMESPACE, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}

function label(text, x, y, anchor) {
  const element = make('text', { x, y, 'text-anchor': anchor })
  element.textContent = text
  return element
}
