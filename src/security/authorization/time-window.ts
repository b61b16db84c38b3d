/**
 * A window of time that comes back each day: office hours, a night's maintenance.
 *
 *     { from: '22:00', to: '06:00', days: ['mon', 'tue'], zone: 'Europe/Berlin' }
 *
 * It begins with `from` and ends before `to`. A window over midnight belongs to the day it begins
 * on. Local time as people read it: an hour that a change of the clocks repeats is in it twice.
 */
import { UsageError } from '../../core/errors.ts'

export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun'

export interface TimeWindow {
  /** `HH:MM`. */
  readonly from: string
  /** `HH:MM`, or `24:00`. The same as `from`: the whole day. */
  readonly to: string
  /** @default every day */
  readonly days?: readonly Weekday[]
  /** IANA name. @default 'UTC' */
  readonly zone?: string
}

/** @returns whether a time (milliseconds since the epoch) is within it */
export function compileTimeWindow(window: TimeWindow): (wallTime: number) => boolean {
  const { zone = 'UTC', days = WEEKDAYS } = window
  const from = minutesOf(window.from)
  const to = minutesOf(window.to)
  if (days.length === 0) throw new UsageError('ERR_ARGUMENT', 'a window of time has no days')
  const unknown = days.find((day) => !WEEKDAYS.includes(day))
  if (unknown !== undefined) throw new UsageError('ERR_ARGUMENT', `'${unknown}' is not a weekday`)
  const on = new Set(days.map((day) => WEEKDAYS.indexOf(day)))
  const local = localTime(zone)
  return (wallTime) => {
    const { day, minute } = local(wallTime)
    if (from < to) return on.has(day) && minute >= from && minute < to
    if (minute >= from) return on.has(day)
    return minute < to && on.has((day + 6) % 7)
  }
}

function localTime(zone: string): (wallTime: number) => { day: number; minute: number } {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
  } catch (error) {
    throw new UsageError('ERR_ARGUMENT', `'${zone}' is not a time zone`, { cause: error })
  }
  return (wallTime) => {
    let day = 0
    let minute = 0
    for (const { type, value } of format.formatToParts(wallTime)) {
      if (type === 'weekday') day = WEEKDAYS.indexOf(value.toLowerCase() as Weekday)
      else if (type === 'hour') minute += Number(value) * 60
      else if (type === 'minute') minute += Number(value)
    }
    return { day, minute }
  }
}

function minutesOf(text: string): number {
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text)
  if (match !== null) return Number(match[1]) * 60 + Number(match[2])
  if (text === '24:00') return 1_440
  throw new UsageError('ERR_ARGUMENT', `'${text}' is not a time as HH:MM`)
}

const WEEKDAYS: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
