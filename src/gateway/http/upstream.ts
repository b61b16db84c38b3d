/** What a route sends requests to: a cluster, perhaps behind a cache. */
import type { HttpService } from '../../protocols/http/messages.ts'

export interface Upstream {
  readonly name: string
  readonly call: HttpService
}
