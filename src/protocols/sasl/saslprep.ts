/**
 * Names and passwords in one spelling before they are compared (SASLprep, RFC 4013).
 *
 * The mappings, the normalization (NFKC) and the prohibited characters are those of the RFC, by the
 * Unicode tables of the runtime instead of Unicode 3.2. Two differences follow: a character that was
 * assigned since 3.2 is accepted, and the rule on directions of writing goes by script, because
 * JavaScript knows no bidirectional classes. For ASCII nothing is changed and nothing can differ.
 */
/** Undefined: the text holds what it must not. */
export function saslprep(text: string): string | undefined {
  if (PRINTABLE_ASCII.test(text)) return text
  if (!text.isWellFormed()) return undefined
  const mapped = text.replace(OTHER_SPACE, ' ').replace(NOTHING, '')
  const prepared = mapped.normalize('NFKC')
  if (PROHIBITED.test(prepared)) return undefined
  return directionsAgree(prepared) ? prepared : undefined
}

/** RFC 3454 section 6: right to left from the first character to the last, or not at all. */
function directionsAgree(text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) return true
  const characters = [...text]
  const ends = [characters[0], characters.at(-1)]
  if (!ends.every((character) => RIGHT_TO_LEFT.test(character ?? ''))) return false
  return !characters.some((character) => LETTER.test(character) && !RIGHT_TO_LEFT.test(character))
}

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/
const OTHER_SPACE = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu
// biome-ignore lint/suspicious/noMisleadingCharacterClass: single characters, not what they form
const NOTHING = /[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/gu
/** C.1.2, C.2.1 and C.2.2, C.3 to C.9: controls, private use, no characters, marks of direction. */
const PROHIBITED =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: single characters, not what they form
  /[\p{Cc}\p{Co}\p{Cs}\p{Cn}\u00a0\u1680\u06dd\u070f\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2ff0-\u2ffb\u3000\ufff9-\ufffd\u0340\u0341\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u
const LETTER = /\p{L}/u
