/**
 * HTTP dates (RFC 9110 5.6.7): IMF-fixdate out, the three formats of old in.
 *
 *     Sun, 06 Nov 1994 08:49:37 GMT    IMF-fixdate, the only one ever sent
 *     Sunday, 06-Nov-94 08:49:37 GMT   RFC 850
 *     Sun Nov  6 08:49:37 1994         asctime
 */

/** @param epochMs milliseconds since the Unix epoch */
export function formatHttpDate(epochMs: number): string {
  // ECMA-262 21.4.4.43 defines exactly this text for years 0 to 9999.
  return new Date(epochMs).toUTCString()
}

/**
 * @param nowMs for the two-digit years of RFC 850: more than 50 years ahead means the past century
 * @returns milliseconds since the Unix epoch; undefined for anything that is not an HTTP date
 */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  const match = IMF_FIXDATE.exec(text) ?? RFC_850.exec(text) ?? ASCTIME.exec(text)
  const part = match?.groups
  if (part === undefined) return undefined
  const month = MONTHS.indexOf(part['month'] as string)
  const day = Number(part['day'])
  const [hour = 0, minute = 0, second = 0] = (part['time'] as string).split(':').map(Number)
  const year = fullYear(part['year'] as string, nowMs)
  const epochMs = Date.UTC(year, month, day, hour, minute, second)
  const read = new Date(epochMs)
  // Date.UTC takes 31 February as 3 March: only what reads back the same was a date. A leap second
  // (23:59:60) is the next minute's first.
  const real = read.getUTCMonth() === month || second === 60
  if (!real || hour > 23 || minute > 59 || second > 60 || day < 1 || day > 31) return undefined
  return epochMs
}

function fullYear(text: string, nowMs: number): number {
  if (text.length === 4) return Number(text)
  const current = new Date(nowMs).getUTCFullYear()
  const year = current - (current % 100) + Number(text)
  return year > current + 50 ? year - 100 : year
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = '(?<time>\\d\\d:\\d\\d:\\d\\d)'
const IMF_FIXDATE = new RegExp(
  `^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`,
)
const RFC_850 = new RegExp(
  `^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`,
)
const ASCTIME = new RegExp(
  `^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`,
)
