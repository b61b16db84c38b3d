/**
 * Lets Node 22 run sources that say `using`: what `tsc` does for the published files, done when a
 * file is loaded. Preloaded by `npm run test:floor` in every process.
 *
 * The hooks run off the thread: with synchronous ones, Node 22.20 links CommonJS packages as part of
 * the module graph and fails on a package that another package requires.
 */
import { register } from 'node:module'

register('./lower-using-hooks.mjs', import.meta.url)
