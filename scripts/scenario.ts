/**
 * `npm run scenario`: runs the scenario of one bad upstream, prints what it was like and draws
 * docs/pictures/one-bad-upstream.svg.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { FULL_STACK, NO_POLICIES, runScenario } from '../test/scenarios/one-bad-upstream.ts'
import { picture, pictureData } from '../test/scenarios/scenario-picture.ts'
import { fromRoot } from './repository.ts'

const none = await runScenario({ client: NO_POLICIES })
const full = await runScenario({ client: FULL_STACK })
const data = pictureData(none, full)
for (const [name, { phases }] of Object.entries(data)) {
  console.log(name === 'none' ? 'no policies' : 'whole stack')
  console.table(phases)
}
mkdirSync(fromRoot('docs/pictures'), { recursive: true })
writeFileSync(fromRoot('docs/pictures/one-bad-upstream.svg'), picture(data))
console.log('wrote docs/pictures/one-bad-upstream.svg')
