/**
 * Whatever path a client sends: refused, or in a spelling that has no other (a second pass changes
 * nothing) and that stays below the root.
 */
import { normalizeTarget, type PathOptions } from './path.ts'

const text = (path: string): Uint8Array => Uint8Array.from(path, (char) => char.charCodeAt(0))

export const samples: readonly Uint8Array[] = [
  text('/a/./b/../c?x=1'),
  text('/%61dmin//%2e%2e/%2Fb'),
  text('/\\..\\%5c%00%zz'),
]

const CHOICES: readonly PathOptions[] = (['keep', 'decode', 'reject'] as const).flatMap(
  (encodedSlashes) =>
    (['slash', 'keep', 'reject'] as const).map((backslashes) => ({
      dotSegments: 'resolve',
      doubleSlashes: 'merge',
      encodedSlashes,
      backslashes,
    })),
)

export function fuzz(seed: number, bytes: Uint8Array): void {
  const target = `/${String.fromCharCode(...bytes.subarray(0, 512))}`
  const options = CHOICES[seed % CHOICES.length] as PathOptions
  const once = normalizeTarget(target, options)
  if (once === undefined) return
  const path = once.split('?', 1)[0] as string
  if (!path.startsWith('/')) throw new Error(`${JSON.stringify(target)} became ${path}`)
  if (/\/\.{1,2}(?:\/|$)|\/\//.test(path) || hasControl(path)) throw new Error(`left over: ${path}`)
  // Decoded once, never twice: %25 keeps what is behind it from being read again.
  const again = normalizeTarget(once, options)
  if (again !== once) throw new Error(`${once} became ${again}`)
}

function hasControl(path: string): boolean {
  for (let at = 0; at < path.length; at++) if (path.charCodeAt(at) <= 0x20) return true
  return false
}
