/**
 * Bundles what pages load: `npm run bundle` writes `dist/browser/*.js` and prints their sizes.
 *
 * A page's bundle is a file of `src/doors` that imports nothing of Node; `test/pins/browser-bundles`
 * builds each of them as well, and pins its size.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { fromRoot } from './repository.ts'

export interface BrowserBundle {
  /** As users import it. */
  readonly subpath: string
  readonly source: string
  /** Minified, in bytes, at most; with the reason for that number. */
  readonly maxBytes: number
  readonly why: string
}

export const BUNDLES: readonly BrowserBundle[] = [
  {
    subpath: 'websocket/browser',
    source: 'src/doors/websocket/browser.ts',
    maxBytes: 13_000,
    why: 'half of it is the table of error codes with its texts; with gzip it is 5 KB',
  },
  {
    subpath: 'transports/webrtc/browser',
    source: 'src/doors/transports/webrtc/browser.ts',
    maxBytes: 51_000,
    why: 'with WebSocket for its signalling and the table of error codes; with gzip it is 17 KB',
  },
  {
    subpath: 'blocks/browser',
    source: 'src/doors/blocks/browser.ts',
    maxBytes: 68_000,
    why: 'all encodings, fragments, negotiation and LZ4 besides the WebSocket',
  },
]

/** One module, minified, with everything it needs. Fails for an import of Node's. */
export async function bundle({ source }: BrowserBundle): Promise<Uint8Array> {
  const result = await build({
    entryPoints: [fromRoot(source)],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2024',
    legalComments: 'none',
    logLevel: 'silent',
  })
  return (result.outputFiles[0] as { contents: Uint8Array }).contents
}

async function main(): Promise<void> {
  mkdirSync(fromRoot('dist/browser'), { recursive: true })
  for (const one of BUNDLES) {
    const bytes = await bundle(one)
    const file = `dist/browser/${one.subpath.replaceAll('/', '-')}.js`
    writeFileSync(fromRoot(file), bytes)
    const sizes = [bytes.length, gzipSync(bytes).length, brotliCompressSync(bytes).length]
    const [plain, gzip, brotli] = sizes.map((size) => size.toLocaleString('en-US'))
    console.log(`${file}: ${plain} bytes, ${gzip} with gzip, ${brotli} with brotli`)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
