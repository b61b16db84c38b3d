/**
 * Numbers as people read them. Each kind keeps a steady width, so that nothing jumps each second.
 * Between a number and its unit stands a space that does not break.
 */

/** Shown where nothing is known. */
export const UNKNOWN = '–'

/** 0, 7, 812, 12,340, 1.25 M */
export function formatCount(value) {
  if (value === null || value === undefined) return UNKNOWN
  if (value >= 1e9) return `${digits(value / 1e9, 2)}\u00a0G`
  if (value >= 1e6) return `${digits(value / 1e6, 2)}\u00a0M`
  return whole.format(Math.round(value))
}

/** Per second: one decimal while small. */
export function formatRate(value) {
  if (value === null || value === undefined) return UNKNOWN
  return value > 0 && value < 10 && !Number.isInteger(value) ? digits(value, 1) : formatCount(value)
}

/** Milliseconds: 0.84 ms, 12.3 ms, 250 ms, 1.25 s */
export function formatMs(value) {
  if (value === null || value === undefined) return UNKNOWN
  if (value >= 10_000) return `${digits(value / 1_000, 1)}\u00a0s`
  if (value >= 1_000) return `${digits(value / 1_000, 2)}\u00a0s`
  if (value >= 100) return `${whole.format(Math.round(value))}\u00a0ms`
  return `${digits(value, value >= 10 ? 1 : 2)}\u00a0ms`
}

/** A share of 0 to 1. What is not all is never shown as 100 %. */
export function formatShare(value) {
  if (value === null || value === undefined) return UNKNOWN
  const percent = value * 100
  if (percent >= 100) return '100\u00a0%'
  if (percent >= 99) return `${digits(Math.min(percent, 99.99), 2)}\u00a0%`
  const isCoarse = percent === 0 || (percent >= 10 && percent < 90)
  return `${digits(percent, isCoarse ? 0 : 1)}\u00a0%`
}

/** 4 s, 3 min 12 s, 5 h 3 min, 12 d 4 h */
export function formatDuration(ms) {
  if (ms === null || ms === undefined) return UNKNOWN
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds}\u00a0s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}\u00a0min ${seconds % 60}\u00a0s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours}\u00a0h ${minutes % 60}\u00a0min`
  return `${Math.floor(hours / 24)}\u00a0d ${hours % 24}\u00a0h`
}

/** 812 KB, 84.2 MB */
export function formatBytes(value) {
  if (value === null || value === undefined) return UNKNOWN
  if (value >= 1e9) return `${digits(value / 1e9, 2)}\u00a0GB`
  if (value >= 1e6) return `${digits(value / 1e6, 1)}\u00a0MB`
  return `${whole.format(Math.round(value / 1e3))}\u00a0KB`
}

/** 14:03:27, in the time zone of who looks. */
export function formatTime(wallMs) {
  return timeOfDay.format(new Date(wallMs))
}

export function formatDateTime(wallMs) {
  return dateTime.format(new Date(wallMs))
}

/** `1 request`, `2 requests` */
export function plural(count, one, many = `${one}s`) {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}

/** Without needless zeros, for axes: 0, 0.5 ms, 12 ms, 2 s */
export function formatAxisMs(value) {
  if (value === 0) return '0'
  return value >= 1_000
    ? `${Number((value / 1_000).toFixed(2))}\u00a0s`
    : `${Number(value.toFixed(2))}\u00a0ms`
}

/** 0, 0.5, 12, 1,500, 2 M */
export function formatAxisCount(value) {
  return value >= 1e6 ? `${Number((value / 1e6).toFixed(2))}\u00a0M` : axis.format(value)
}

/** The smallest top of a scale, not below `value`, that four steps divide into round numbers. */
export function niceCeiling(value) {
  if (!(value > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  for (const top of [1, 1.2, 1.6, 2, 3, 4, 6, 8, 10]) {
    // A hair of tolerance: 0.3 / 0.1 is 2.9999999999999996.
    if (top * power >= value * 0.999_999) return top * power
  }
  return 10 * power
}

function digits(value, count) {
  return value.toFixed(count)
}

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const axis = new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 })
const timeOfDay = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })
const dateTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })
