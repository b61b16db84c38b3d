/** The version of the package this file is part of, from source or built. */
import { readFileSync } from 'node:fs'

export function version(): string {
  const manifest = new URL('../../package.json', import.meta.url)
  const { version: text } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  return text
}
