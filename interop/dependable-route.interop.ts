/**
 * The page of the dependable route, command by command, with curl. The test is that of `npm test`,
 * which skips where curl is missing; here it is installed, so it runs on every machine of CI.
 */
import { requirePeer } from './peers.ts'

if (!requirePeer('curl').skip) await import('../test/gateway/dependable-route.test.ts')
