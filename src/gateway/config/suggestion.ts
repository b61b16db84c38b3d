/**
 * "did you mean …?": the known word that is nearest to an unknown one.
 */

/**
 * The nearest candidate by edit distance, or undefined when none is near enough to help: a third of
 * the word's letters may differ, at least one and at most four.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > MAX_WORD) return undefined
  const allowed = Math.max(1, Math.min(4, Math.floor(word.length / 3)))
  const folded = fold(word)
  let best: string | undefined
  let bestDistance = allowed + 1
  for (const candidate of candidates) {
    if (candidate.length > MAX_WORD) continue
    const distance = editDistance(folded, fold(candidate))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Damerau-Levenshtein (adjacent swaps count once), three rows. */
export function editDistance(a: string, b: string): number {
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(
        (previous[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (previous[j - 1] as number) + (same ? 0 : 1),
      )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] as number) + 1)
      }
      row.push(cost)
    }
    before = previous
    previous = row
  }
  return previous[b.length] as number
}

/** `connectTimeout`, `connect-timeout` and `connect_timeout` are the same word to a reader. */
function fold(word: string): string {
  return word.toLowerCase().replaceAll('-', '').replaceAll('_', '')
}

const MAX_WORD = 64
