/**
 * The dashboard's files, read once. They are served as they are: no build step, nothing from
 * elsewhere, nothing inline (the page's content security policy forbids it).
 */
import { readFileSync } from 'node:fs'
import { InternalError } from '../../core/errors.ts'

export interface Asset {
  readonly type: string
  readonly bytes: Uint8Array
}

/** By path. */
export function loadDashboard(): ReadonlyMap<string, Asset> {
  const assets = new Map<string, Asset>()
  for (const [path, file, type] of FILES) assets.set(path, { type, bytes: read(file) })
  return assets
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(new URL(`dashboard/${file}`, import.meta.url))
  } catch (cause) {
    // The files belong to the package: without them it was not built or packed as a whole.
    throw new InternalError('ERR_INVARIANT', `the dashboard's file ${file} is missing`, { cause })
  }
}

const SCRIPT = 'text/javascript; charset=utf-8'
const FILES: readonly (readonly [path: string, file: string, type: string])[] = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/dashboard.css', 'dashboard.css', 'text/css; charset=utf-8'],
  ['/dashboard.js', 'dashboard.js', SCRIPT],
  ['/chart.js', 'chart.js', SCRIPT],
  ['/format.js', 'format.js', SCRIPT],
  ['/tables.js', 'tables.js', SCRIPT],
  ['/favicon.svg', 'favicon.svg', 'image/svg+xml'],
]
