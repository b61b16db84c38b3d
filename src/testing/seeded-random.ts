/** Randomness that can be replayed, under the name that kits and tests know. */
export { SeededRandom, seededRandom } from '../core/seeded-random.ts'
