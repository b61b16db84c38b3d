/** The loader behind lower-using.mjs. Files that do not say `using` are left to Node. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'

const SAYS_USING = /^\s*(?:await\s+)?using\s+[\w$]+\s*=/m

export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || url.includes('/node_modules/')) return nextLoad(url, context)
  const path = fileURLToPath(url)
  if (!/\.m?[jt]s$/.test(path)) return nextLoad(url, context)
  const text = await readFile(path, 'utf8')
  if (!SAYS_USING.test(text)) return nextLoad(url, context)
  const { code } = await transform(text, {
    loader: path.endsWith('ts') ? 'ts' : 'js',
    format: 'esm',
    target: 'node22',
    sourcefile: path,
    sourcemap: 'inline',
  })
  return { format: 'module', source: code, shortCircuit: true }
}
