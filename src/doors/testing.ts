/** `heddle/testing`: conformance kits, a manual clock, seeded randomness. */
export * from '../testing/manual-clock.ts'
export * from '../testing/seeded-random.ts'
