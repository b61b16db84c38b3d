/** `heddle/testing`: conformance kits, a manual clock, seeded randomness. */
export * from '../testing/decoder-conformance.ts'
export * from '../testing/harness.ts'
export * from '../testing/manual-clock.ts'
export * from '../testing/seeded-random.ts'
