/**
 * Loaded before every test file: properties draw the same cases every time, so that a run says the
 * same everywhere. HEDDLE_SEED=7 draws others.
 */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env['HEDDLE_SEED'] ?? 1) })
