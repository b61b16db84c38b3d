/**
 * Endpoints from Kubernetes: the EndpointSlices of a service, listed once and watched from there.
 *
 *     users                 the service in our own namespace, its only port
 *     users.shop:http       in the namespace shop, the port named http
 *     kubernetes:///users.shop:8080
 *
 * The rules are those of the API (https://kubernetes.io/docs/reference/using-api/api-concepts/): a
 * watch begins at the list's resource version, bookmarks move it on, a watch that ends goes on from
 * where it was, and `410 Gone` means listing again. Which endpoints of a slice get calls is in
 * endpoint-slice.ts.
 */
import type { Clock, Random } from '../core/clock.ts'
import { checkInteger, checkRange, ProtocolError, RemoteError, toError } from '../core/errors.ts'
import type { Resolver, ResolverListener } from '../core/policy.ts'
import { nodeHost } from '../platform/node-host.ts'
import { environmentVariable } from '../platform/process-access.ts'
import { systemClock } from '../platform/system-clock.ts'
import { type EndpointSlice, readEndpointSlice, selectEndpoints } from './endpoint-slice.ts'
import { asArray, asRecord, asText, isRecord, type JsonRecord } from './json-value.ts'
import { type KubernetesTarget, namespaceOf, parseKubernetesTarget } from './kubernetes-target.ts'
import { RegistryHttp, type RegistryHttpOptions } from './registry-http.ts'
import { SharedResolver, type SharedResolverOptions } from './shared-resolver.ts'
import { type Round, WatchLoop, type WatchLoopOptions } from './watch-loop.ts'

export interface KubernetesOptions
  extends RegistryHttpOptions,
    SharedResolverOptions,
    WatchLoopOptions {
  /** @default in a pod, the API server as the pod is told; else there is none */
  url?: string
  /** @default the service account's, read again for each request */
  tokenFile?: string
  /** @default the service account's `ca.crt` */
  caFile?: string
  /** As a target, for whatever target. @default the target */
  service?: string
  /** Of targets that name none. @default the pod's own, else `default` */
  namespace?: string
  /** Which address of a pod that has two. @default the first of IPv4, IPv6 that it has */
  family?: 4 | 6
  /** Longest one watch; the server ends it. Spread by chance over the second half. @default 600_000 */
  watchMs?: number
  /** Objects of one page of a list. @default 500 */
  pageSize?: number
  /** Slices of one service. A slice has at most 1,000 endpoints, usually 100. @default 1_000 */
  maxSlices?: number
  /** @default the system's */
  clock?: Clock
  /** @default Node's */
  random?: Random
}

export const kubernetesDefaults: Readonly<{
  watchMs: number
  pageSize: number
  maxSlices: number
}> = Object.freeze({
  watchMs: 600_000, // as client-go: 5 to 10 minutes
  pageSize: 500,
  maxSlices: 1_000,
})

/** @throws UsageError for options that cannot be */
export function kubernetes(options: KubernetesOptions = {}): Resolver {
  const {
    clock = systemClock,
    random = nodeHost.random,
    watchMs = kubernetesDefaults.watchMs,
    pageSize = kubernetesDefaults.pageSize,
    maxSlices = kubernetesDefaults.maxSlices,
    service,
  } = options
  checkRange('watchMs', watchMs, 10_000, 3_600_000)
  checkInteger('pageSize', pageSize, 1, 10_000)
  checkInteger('maxSlices', maxSlices, 1, 100_000)
  const settings: Settings = { ...inCluster(options), clock, random, watchMs, pageSize, maxSlices }
  makeHttp(settings).close()
  return new SharedResolver((target, sink) => {
    return new KubernetesFeed(parseKubernetesTarget(service ?? target), sink, settings)
  }, options)
}

type Settings = KubernetesOptions &
  Required<
    Pick<KubernetesOptions, 'clock' | 'random' | 'watchMs' | 'pageSize' | 'maxSlices' | 'url'>
  >

class KubernetesFeed implements Disposable {
  readonly #sink: ResolverListener
  readonly #settings: Settings
  readonly #http: RegistryHttp
  readonly #loop: WatchLoop
  readonly #target: KubernetesTarget
  /** By name. */
  #slices = new Map<string, EndpointSlice>()
  /** Where the next watch begins; undefined: a list is needed. */
  #version: string | undefined
  /** The next list is the newest there is, not what a cache of the server has. */
  #newest = false

  constructor(target: KubernetesTarget, sink: ResolverListener, settings: Settings) {
    this.#target = target
    this.#sink = sink
    this.#settings = settings
    this.#http = makeHttp(settings)
    this.#loop = new WatchLoop({
      ...settings,
      round: (round) => this.#round(round),
      onError: (error) => sink.onError(error),
    }).start()
  }

  [Symbol.dispose](): void {
    this.#loop[Symbol.dispose]()
    this.#http.close()
  }

  async #round(round: Round): Promise<number> {
    try {
      if (this.#version === undefined) await this.#list(round)
      await this.#watch(round)
    } catch (error) {
      const failure = toError(error)
      if (failure instanceof RemoteError) {
        this.#version = undefined
        // 410: what the cache had is too old. 504: it was not there yet.
        if (failure.status === 410 || failure.status === 504) this.#newest = true
      }
      throw failure
    }
    return 0
  }

  async #list({ signal }: Round): Promise<void> {
    const { pageSize, maxSlices } = this.#settings
    const slices = new Map<string, EndpointSlice>()
    let version = ''
    let next = ''
    do {
      const query: [string, string][] = [['limit', String(pageSize)]]
      if (next !== '') query.push(['continue', next])
      else if (!this.#newest) query.push(['resourceVersion', '0'])
      const { value } = await this.#http.json({ target: await this.#path(query), signal })
      const list = asRecord('kubernetes', value)
      const metadata = asRecord('kubernetes', list['metadata'])
      for (const item of asArray('kubernetes', list['items'] ?? [])) {
        const slice = readEndpointSlice(item)
        slices.set(slice.name, slice)
        if (slices.size > maxSlices) throw tooMany(slices.size, maxSlices)
      }
      version = asText(metadata['resourceVersion'])
      next = asText(metadata['continue'])
    } while (next !== '')
    if (version === '') {
      throw new ProtocolError('ERR_MALFORMED', 'kubernetes gave a list without resourceVersion')
    }
    this.#slices = slices
    this.#version = version
    this.#newest = false
    this.#report()
  }

  async #watch({ signal, succeeded }: Round): Promise<void> {
    const { watchMs, random } = this.#settings
    const seconds = Math.ceil((watchMs * (1 + random())) / 2_000)
    const query: [string, string][] = [
      ['watch', 'true'],
      ['resourceVersion', this.#version as string],
      ['allowWatchBookmarks', 'true'],
      ['timeoutSeconds', String(seconds)],
    ]
    await this.#http.stream(
      { target: await this.#path(query), signal },
      () => this.#report(),
      (value) => {
        this.#apply(asRecord('kubernetes', value))
        succeeded()
      },
      // The server ends it; a connection that died without a word is given up a little later.
      seconds * 1_000 + GRACE_MS,
    )
  }

  #apply(event: JsonRecord): void {
    const { type, object } = event
    if (type === 'ERROR') throw statusError(object)
    const record = asRecord('kubernetes', object)
    const version = asText(asRecord('kubernetes', record['metadata'])['resourceVersion'])
    if (version === '') {
      throw new ProtocolError('ERR_MALFORMED', 'kubernetes gave an event without resourceVersion')
    }
    if (type === 'ADDED' || type === 'MODIFIED') {
      const slice = readEndpointSlice(record)
      this.#slices.set(slice.name, slice)
      const { maxSlices } = this.#settings
      if (this.#slices.size > maxSlices) throw tooMany(this.#slices.size, maxSlices)
      this.#report()
    } else if (type === 'DELETED') {
      this.#slices.delete(readEndpointSlice(record).name)
      this.#report()
    } else if (type !== 'BOOKMARK') {
      throw new ProtocolError('ERR_MALFORMED', 'kubernetes gave an event of an unknown type')
    }
    this.#version = version
  }

  #report(): void {
    const { family } = this.#settings
    const { port } = this.#target
    try {
      this.#sink.onEndpoints(selectEndpoints(this.#slices.values(), port, family))
    } catch (error) {
      // The service is not as the target says: others of the same registry are not concerned.
      this.#sink.onError(toError(error))
    }
  }

  async #path(query: readonly [string, string][]): Promise<string> {
    const { namespace = await namespaceOf(this.#settings.namespace), service } = this.#target
    const search = new URLSearchParams([
      ['labelSelector', `kubernetes.io/service-name=${service}`],
      ...query,
    ])
    return `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?${search}`
  }
}

function statusError(object: unknown): RemoteError {
  const status = isRecord(object) ? object : {}
  const { code } = status
  const message = `kubernetes ended the watch: ${asText(status['message']) || 'no reason given'}`
  return new RemoteError('ERR_REMOTE', message, {
    ...(typeof code === 'number' && { status: code }),
  })
}

function tooMany(size: number, limit: number): ProtocolError {
  return new ProtocolError('ERR_LIMIT', `${size} slices are over maxSlices ${limit}`)
}

/** What a pod is told about its cluster, where the options say nothing else. */
function inCluster(options: KubernetesOptions): KubernetesOptions & { url: string } {
  const host = environmentVariable('KUBERNETES_SERVICE_HOST')
  const port = environmentVariable('KUBERNETES_SERVICE_PORT') ?? '443'
  if (options.url !== undefined || host === undefined) {
    return { ...options, url: options.url ?? 'https://kubernetes.default.svc' }
  }
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
  const { caFile = `${ACCOUNT}/ca.crt` } = options
  const token =
    options.token === undefined && options.tokenFile === undefined
      ? { tokenFile: `${ACCOUNT}/token` }
      : {}
  return { ...options, url, caFile, ...token }
}

function makeHttp(settings: Settings): RegistryHttp {
  return new RegistryHttp({
    ...settings,
    name: 'kubernetes',
    defaultUrl: settings.url,
    credentials: (token) => ['authorization', `Bearer ${token}`],
  })
}

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const GRACE_MS = 30_000
