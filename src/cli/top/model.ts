/**
 * What `heddle top` knows and how the person wants to see it; pure. Readings and keys go in, the view
 * (view.ts) looks at it.
 */
import type {
  AdminSnapshot,
  JsonCluster,
  JsonEndpoint,
  JsonError,
} from '../../gateway/admin/snapshot.ts'
import type { ListenerStatus } from '../../gateway/status.ts'

export const SORTS = ['configured', 'name', 'rate', 'p99', 'success', 'in flight'] as const
export type Sort = (typeof SORTS)[number]

export type Link =
  | { readonly state: 'connecting' | 'live' }
  | { readonly state: 'lost'; readonly reason: string; readonly retryAt: number }

export interface ClusterRows {
  readonly cluster: JsonCluster
  readonly endpoints: readonly JsonEndpoint[]
}

/** Errors of one kind, newest first. */
export interface ErrorGroup {
  readonly newest: JsonError
  readonly count: number
}

/** What ended in one second. */
export interface Second {
  readonly requests: number
  /** 5xx, or no answer at all. */
  readonly failed: number
}

export class TopModel {
  link: Link = { state: 'connecting' }
  /** Undefined until the gateway answers. */
  snapshot: AdminSnapshot | undefined
  /** The last seconds, oldest first. */
  traffic: readonly Second[] = []
  sort: Sort = 'configured'
  reversed = false
  paused = false
  filter = ''
  /** The filter is being typed. */
  typing = false
  /** First row of the body that is shown. */
  scroll = 0
  /** What came while paused. */
  #latest: AdminSnapshot | undefined
  #history: readonly Second[] = []
  /** Some readings back, for rates of what the gateway only counts. */
  #earlier: { readonly now: number; readonly requests: ReadonlyMap<string, number> }[] = []
  #rates: ReadonlyMap<string, number> = new Map()

  /** @param whole its history is all there is; otherwise it is what is new */
  take(snapshot: AdminSnapshot, whole: boolean): void {
    const { requests, serverErrors } = snapshot.history
    const seconds = requests.map((count, at) => ({
      requests: count,
      failed: serverErrors[at] ?? 0,
    }))
    this.#history = (whole ? seconds : [...this.#history, ...seconds]).slice(-KEPT)
    this.#latest = snapshot
    this.link = { state: 'live' }
    this.#measure(snapshot)
    if (!this.paused) this.#show()
  }

  lost(reason: string, retryAt: number): void {
    this.link = { state: 'lost', reason, retryAt }
    // A gateway that comes back begins to count anew.
    this.#earlier = []
  }

  /** @returns false: the person wants to leave */
  key(key: string, pageRows: number): boolean {
    if (key === 'ctrl-c') return false
    if (this.typing) this.#type(key)
    else if (key === 'q') return false
    else this.#command(key, pageRows)
    return true
  }

  /** Of the last minute, 0 to 1; undefined without a request. */
  get failedShare(): number | undefined {
    let [requests, failed] = [0, 0]
    for (const second of this.traffic.slice(-60)) {
      requests += second.requests
      failed += second.failed
    }
    return requests === 0 ? undefined : failed / requests
  }

  listeners(): readonly ListenerStatus[] {
    const all = this.snapshot?.listeners ?? []
    return all.filter(({ name, address }) => this.#wanted(name, address))
  }

  /** Requests a second, once two readings are there. */
  listenerRate(name: string): number | undefined {
    return this.#rates.get(name)
  }

  clusters(): readonly ClusterRows[] {
    const rows: ClusterRows[] = []
    for (const cluster of this.snapshot?.clusters ?? []) {
      const whole = this.#wanted(cluster.name, cluster.source ?? '')
      const endpoints = cluster.endpoints.filter(
        ({ address, hostname, state }) => whole || this.#wanted(address, hostname ?? '', state),
      )
      if (!whole && endpoints.length === 0) continue
      rows.push({ cluster, endpoints: this.#sorted(endpoints, endpointKey) })
    }
    return this.#sorted(rows, clusterKey)
  }

  /** Newest first, what repeats as one. */
  errors(): readonly ErrorGroup[] {
    const groups = new Map<string, { newest: JsonError; count: number }>()
    for (const error of this.snapshot?.errors ?? []) {
      const { code, where, message, upstream, route } = error
      if (!this.#wanted(code, where, message, upstream ?? '', route ?? '')) continue
      const key = `${code} ${where} ${upstream ?? ''} ${route ?? ''}`
      const group = groups.get(key)
      if (group === undefined) groups.set(key, { newest: error, count: 1 })
      else group.count++
    }
    return [...groups.values()]
  }

  #show(): void {
    this.snapshot = this.#latest
    this.traffic = this.#history
  }

  #measure(snapshot: AdminSnapshot): void {
    const requests = new Map(snapshot.listeners.map((one) => [one.name, one.requests]))
    this.#earlier.push({ now: snapshot.now, requests })
    if (this.#earlier.length > RATE_READINGS) this.#earlier.shift()
    const [first] = this.#earlier
    const elapsedMs = first === undefined ? 0 : snapshot.now - first.now
    if (first === undefined || elapsedMs <= 0) return
    const rates = new Map<string, number>()
    for (const [name, count] of requests) {
      const before = first.requests.get(name)
      if (before !== undefined && count >= before) {
        rates.set(name, ((count - before) * 1_000) / elapsedMs)
      }
    }
    this.#rates = rates
  }

  #command(key: string, pageRows: number): void {
    switch (key) {
      case 's':
      case 'S': {
        const step = key === 's' ? 1 : SORTS.length - 1
        this.sort = SORTS[(SORTS.indexOf(this.sort) + step) % SORTS.length] as Sort
        return
      }
      case 'r':
        this.reversed = !this.reversed
        return
      case 'p':
      case ' ':
        this.paused = !this.paused
        if (!this.paused) this.#show()
        return
      case '/':
        this.typing = true
        return
      case 'escape':
        this.filter = ''
        return
      default:
        // The view knows where it ends.
        this.scroll = Math.max(0, this.scroll + scrollOf(key, pageRows, this.scroll))
    }
  }

  #type(key: string): void {
    if (key === 'enter') this.typing = false
    else if (key === 'escape') {
      this.typing = false
      this.filter = ''
    } else if (key === 'backspace') this.filter = [...this.filter].slice(0, -1).join('')
    else if (key === 'ctrl-u') this.filter = ''
    else if ([...key].length === 1 && this.filter.length < MAX_FILTER) this.filter += key
    this.scroll = 0
  }

  #wanted(...texts: readonly string[]): boolean {
    const filter = this.filter.toLowerCase()
    return filter === '' || texts.some((text) => text.toLowerCase().includes(filter))
  }

  #sorted<Row>(rows: readonly Row[], keyOf: (row: Row, sort: Sort) => string | number): Row[] {
    const { sort, reversed } = this
    const sorted = [...rows]
    if (sort !== 'configured') {
      sorted.sort((a, b) => {
        const [left, right] = [keyOf(a, sort), keyOf(b, sort)]
        return typeof left === 'string' ? left.localeCompare(String(right)) : Number(right) - left
      })
    }
    return reversed ? sorted.reverse() : sorted
  }
}

/** What is most interesting has the largest number: it comes first. */
function endpointKey(endpoint: JsonEndpoint, sort: Sort): string | number {
  if (sort === 'rate') return endpoint.requestsPerSecond
  if (sort === 'p99') return endpoint.latency?.p99 ?? -1
  if (sort === 'success') return 1 - (endpoint.successRate ?? 1)
  return sort === 'in flight' ? endpoint.inFlight : endpoint.address
}

function clusterKey({ cluster }: ClusterRows, sort: Sort): string | number {
  if (sort === 'rate') return cluster.requestsPerSecond
  if (sort === 'p99') return worstP99(cluster) ?? -1
  if (sort === 'success') return 1 - (cluster.successRate ?? 1)
  return sort === 'in flight' ? cluster.inFlight : cluster.name
}

export function worstP99(cluster: JsonCluster): number | undefined {
  const known = cluster.endpoints
    .map(({ latency }) => latency?.p99)
    .filter((one) => one !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

function scrollOf(key: string, pageRows: number, scroll: number): number {
  const page = Math.max(1, pageRows - 1)
  const moves: Readonly<Record<string, number>> = {
    up: -1,
    k: -1,
    down: 1,
    j: 1,
    pageup: -page,
    pagedown: page,
    home: -scroll,
    g: -scroll,
    end: MAX_SCROLL,
    G: MAX_SCROLL,
  }
  return moves[key] ?? 0
}

const KEPT = 300
const RATE_READINGS = 6
const MAX_FILTER = 100
const MAX_SCROLL = 1_000_000
