/** Numbers as people read them in a terminal: short, and steady in width. */

/** Where nothing is known. */
export const UNKNOWN = '–'

/** 0, 812, 9999, 12.3k, 1.25M */
export function formatCount(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  if (value >= 999.5e6) return `${threeDigits(value / 1e9)}G`
  if (value >= 999.5e3) return `${threeDigits(value / 1e6)}M`
  if (value >= 9_999.5) return `${threeDigits(value / 1e3)}k`
  return String(Math.round(value))
}

/** Per second: one decimal while small. */
export function formatRate(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  return value > 0 && value < 9.95 ? value.toFixed(1) : formatCount(value)
}

/** 0.84ms, 12.3ms, 250ms, 1.25s */
export function formatMs(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  return value >= 999.5 ? `${threeDigits(value / 1_000)}s` : `${threeDigits(value)}ms`
}

/** Of 0 to 1. What is not all is never shown as 100%. */
export function formatShare(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  const percent = value * 100
  if (percent >= 100) return '100%'
  if (percent >= 99) return `${Math.min(percent, 99.99).toFixed(2)}%`
  return percent >= 10 || percent === 0 ? `${percent.toFixed(0)}%` : `${percent.toFixed(1)}%`
}

/** 4s, 3m12s, 5h03m, 12d04h */
export function formatDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return UNKNOWN
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours}h${two(minutes % 60)}m`
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`
}

/** 812K, 84.2M, 1.20G */
export function formatBytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  if (value >= 999.5e6) return `${threeDigits(value / 1e9)}G`
  if (value >= 999.5e3) return `${threeDigits(value / 1e6)}M`
  return `${Math.round(value / 1e3)}K`
}

/** 14:03:27, in the time zone of who looks. */
export function formatTime(wallMs: number): string {
  const date = new Date(wallMs)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

function threeDigits(value: number): string {
  if (value === 0) return '0'
  if (value >= 99.95) return value.toFixed(0)
  return value.toFixed(value >= 9.995 ? 1 : 2)
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
