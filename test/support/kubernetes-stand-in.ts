/**
 * The API server's EndpointSlices, as the documentation says it behaves: lists with pages, watches
 * from a resource version, bookmarks, `410 Gone`, timeouts, tokens; and refusals for what the API
 * refuses. It is not Kubernetes: docs/discovery.md says so.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import type { Clock, Timer } from '../../src/core/clock.ts'
import { type HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'
import { PushStream } from './push-stream.ts'

export interface Slice {
  readonly name: string
  readonly service: string
  readonly addressType?: 'IPv4' | 'IPv6' | 'FQDN'
  readonly ports?: readonly { readonly name?: string; readonly port: number }[]
  readonly endpoints: readonly SliceEntry[]
}

export interface SliceEntry {
  readonly addresses: readonly string[]
  readonly conditions?: Readonly<Partial<Record<'ready' | 'serving' | 'terminating', boolean>>>
  readonly zone?: string
  readonly targetRef?: { readonly kind: string; readonly name: string; readonly uid?: string }
}

interface Watch {
  readonly stream: PushStream
  readonly service: string
  readonly bookmarks: boolean
  readonly timer: Timer | undefined
}

interface Change {
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly slice: Slice
}

export class KubernetesStandIn {
  readonly requests: string[] = []
  token: string | undefined
  readonly namespace = 'shop'
  readonly #clock: Clock
  readonly #slices = new Map<string, { slice: Slice; version: number }>()
  readonly #watches = new Set<Watch>()
  #changes: Change[] = []
  #version = 100
  /** Older versions are gone. */
  #oldest = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get watchers(): number {
    return this.#watches.size
  }

  get version(): number {
    return this.#version
  }

  apply(slice: Slice): void {
    const type = this.#slices.has(slice.name) ? 'MODIFIED' : 'ADDED'
    this.#version++
    this.#slices.set(slice.name, { slice, version: this.#version })
    this.#changed({ version: this.#version, type, slice })
  }

  delete(name: string): void {
    const known = this.#slices.get(name)
    if (known === undefined) return
    this.#version++
    this.#slices.delete(name)
    this.#changed({ version: this.#version, type: 'DELETED', slice: known.slice })
  }

  /** Something else in the cluster changes: versions go on. */
  churn(count: number): void {
    this.#version += count
  }

  /** History up to now is forgotten, as etcd does every five minutes. */
  compact(): void {
    this.#oldest = this.#version
    this.#changes = []
  }

  bookmark(): void {
    for (const { stream, bookmarks } of this.#watches) {
      if (!bookmarks) continue
      const object = {
        kind: 'EndpointSlice',
        apiVersion: 'discovery.k8s.io/v1',
        metadata: { resourceVersion: String(this.#version), creationTimestamp: null },
        addressType: '',
        endpoints: null,
        ports: null,
      }
      stream.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
    }
  }

  /** Ends watches in the middle of the next object. */
  cutInTheMiddle(slice: Slice): void {
    const type = this.#slices.has(slice.name) ? 'MODIFIED' : 'ADDED'
    this.#version++
    this.#slices.set(slice.name, { slice, version: this.#version })
    const change: Change = { version: this.#version, type, slice }
    this.#changes.push(change)
    const line = eventLine(change, this.namespace)
    for (const watch of [...this.#watches]) {
      watch.stream.write(line.slice(0, line.length >> 1))
      this.#end(watch, new Error('the connection was reset'))
    }
  }

  /** Ends watches as a server that restarts does. */
  endWatches(): void {
    for (const watch of [...this.#watches]) this.#end(watch)
  }

  readonly service = (request: HttpRequest): HttpResponse => {
    this.requests.push(request.target)
    const authorization = request.fields.get('authorization')
    if (this.token !== undefined && authorization !== `Bearer ${this.token}`) {
      return status(401, 'Unauthorized', 'Unauthorized')
    }
    const { pathname, searchParams: query } = new URL(request.target, 'http://kubernetes')
    const path = `/apis/discovery.k8s.io/v1/namespaces/${this.namespace}/endpointslices`
    if (/^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/[^/]+\/endpointslices$/.test(pathname)) {
      if (pathname !== path) {
        const message = 'endpointslices.discovery.k8s.io is forbidden: User cannot list resource'
        return status(403, 'Forbidden', message)
      }
    } else return status(404, 'NotFound', 'the server could not find the requested resource')
    if (request.method !== 'GET') return status(405, 'MethodNotAllowed', 'method not allowed')
    const service = /^kubernetes\.io\/service-name=([a-z0-9-]+)$/.exec(
      query.get('labelSelector') ?? '',
    )?.[1]
    if (service === undefined) {
      return status(400, 'BadRequest', 'unable to parse requirement of labelSelector')
    }
    const version = query.get('resourceVersion')
    if (version !== null && !/^\d+$/.test(version)) {
      return status(400, 'BadRequest', `resourceVersion: Invalid value: "${version}"`)
    }
    const watching = query.get('watch') === 'true' || query.get('watch') === '1'
    return watching ? this.#watch(service, query) : this.#list(service, query)
  }

  #list(service: string, query: URLSearchParams): HttpResponse {
    const { token, limit } = pageOf(query)
    if (token !== undefined && query.has('resourceVersion')) {
      const message = 'specifying resource version is not allowed when using continue'
      return status(400, 'BadRequest', message)
    }
    let start = 0
    let version = this.#version
    if (token !== undefined) {
      ;[version, start] = token
      if (version < this.#oldest) {
        const message = 'The provided continue parameter is too old to display a consistent list'
        return status(410, 'Expired', message)
      }
    }
    if (Number(query.get('resourceVersion') ?? 0) > this.#version) {
      return status(504, 'Timeout', 'Too large resource version')
    }
    const all = [...this.#slices.values()].filter(({ slice }) => slice.service === service)
    // From the cache a list comes whole.
    const size = query.get('resourceVersion') === '0' ? all.length : limit
    const items = all.slice(start, start + size)
    const rest = all.length - start - items.length
    const metadata = {
      resourceVersion: String(version),
      ...(rest > 0 && {
        continue: btoa(JSON.stringify([version, start + items.length])),
        remainingItemCount: rest,
      }),
    }
    return HttpResponse.json({
      kind: 'EndpointSliceList',
      apiVersion: 'discovery.k8s.io/v1',
      metadata,
      items: items.map((one) => objectOf(one.slice, one.version, this.namespace)),
    })
  }

  #watch(service: string, query: URLSearchParams): HttpResponse {
    const from = Number(query.get('resourceVersion') ?? 0)
    const seconds = query.get('timeoutSeconds')
    if (seconds !== null && !/^\d+$/.test(seconds)) {
      return status(400, 'BadRequest', 'timeoutSeconds: invalid syntax')
    }
    const stream = new PushStream(() => this.#end(watch))
    const timer =
      seconds === null
        ? undefined
        : this.#clock.setTimer(this.#clock.now() + Number(seconds) * 1_000, () => this.#end(watch))
    const bookmarks = query.get('allowWatchBookmarks') === 'true'
    const watch: Watch = { stream, service, bookmarks, timer }
    this.#watches.add(watch)
    if (from < this.#oldest) {
      // With status 200: the head has left before the version is looked at.
      const message = `too old resource version: ${from} (${this.#oldest})`
      const object = statusObject(410, 'Expired', message)
      stream.write(`${JSON.stringify({ type: 'ERROR', object })}\n`)
      this.#end(watch)
    } else {
      for (const change of this.#changes) {
        if (change.version > from && change.slice.service === service) {
          stream.write(eventLine(change, this.namespace))
        }
      }
    }
    return new HttpResponse({ fields: { 'content-type': 'application/json' }, body: stream })
  }

  #changed(change: Change): void {
    this.#changes.push(change)
    for (const { stream, service } of this.#watches) {
      if (service === change.slice.service) stream.write(eventLine(change, this.namespace))
    }
  }

  #end(watch: Watch, reason?: Error): void {
    if (!this.#watches.delete(watch)) return
    watch.timer?.cancel()
    if (reason === undefined) watch.stream.end()
    else watch.stream.fail(reason)
  }
}

function pageOf(query: URLSearchParams): {
  readonly token: [version: number, start: number] | undefined
  readonly limit: number
} {
  const text = query.get('continue')
  const token = text === null ? undefined : (JSON.parse(atob(text)) as [number, number])
  return { token, limit: Number(query.get('limit') ?? Number.POSITIVE_INFINITY) }
}

function eventLine({ type, slice, version }: Change, namespace: string): string {
  return `${JSON.stringify({ type, object: objectOf(slice, version, namespace) })}\n`
}

function objectOf(slice: Slice, version: number, namespace: string): object {
  const { name, service, addressType = 'IPv4', ports, endpoints } = slice
  return {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: {
      name,
      namespace,
      resourceVersion: String(version),
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType,
    ports: (ports ?? [{ name: 'http', port: 8_080 }]).map((port) => ({ protocol: 'TCP', ...port })),
    endpoints,
  }
}

function status(code: number, reason: string, message: string): HttpResponse {
  return HttpResponse.json(statusObject(code, reason, message), { status: code })
}

function statusObject(code: number, reason: string, message: string): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
  }
}
