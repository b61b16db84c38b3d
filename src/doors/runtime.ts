/** `heddle/runtime`: policy over an injected clock, randomness and transport. */
export * from '../runtime/driver.ts'
