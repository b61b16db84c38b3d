/**
 * The control API of toxiproxy 2 over HTTP, so that its clients work unchanged
 * (https://github.com/Shopify/toxiproxy#http-api).
 *
 *     GET, POST           /proxies                        POST  /populate   POST /reset
 *     GET, POST, DELETE   /proxies/{proxy}                GET   /version
 *     GET, POST           /proxies/{proxy}/toxics
 *     GET, POST, DELETE   /proxies/{proxy}/toxics/{toxic}
 *
 * PATCH is POST. Errors are `{ "error": …, "status": … }`. Browsers are refused, as there: any page
 * could otherwise reach a port on loopback.
 */
import {
  type Toxic,
  type ToxicAttributes,
  type ToxicSpec,
  toxicJson,
} from '../../core/chaos/toxic.ts'
import { HeddleError } from '../../core/errors.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import type { ChaosProxies, ProxySpec } from './chaos-proxies.ts'
import type { ChaosProxy } from './chaos-proxy.ts'

export function chaosApi(proxies: ChaosProxies): HttpService {
  return async (request) => {
    try {
      if (request.fields.get('user-agent')?.startsWith('Mozilla/') === true) {
        throw new ApiError(403, 'User agent not allowed')
      }
      return await route(proxies, request)
    } catch (error) {
      const { status, message } = apiError(error)
      return HttpResponse.json({ error: message, status }, { status })
    }
  }
}

async function route(proxies: ChaosProxies, request: HttpRequest): Promise<HttpResponse> {
  const [first, proxyName, second, toxicName, ...more] = parts(request.path)
  const method = request.method === 'PATCH' ? 'POST' : request.method
  if (more.length > 0 || (second !== undefined && second !== 'toxics')) throw notFound()
  if (first === 'proxies' && proxyName !== undefined) {
    const proxy = proxies.get(proxyName)
    if (proxy === undefined) throw new ApiError(404, 'proxy not found')
    if (second === undefined) return oneProxy(proxies, proxy, method, request)
    return toxicName === undefined
      ? allToxics(proxy, method, request)
      : oneToxic(proxy, toxicName, method, request)
  }
  if (proxyName !== undefined) throw notFound()
  switch (`${method} ${first}`) {
    case 'GET proxies':
      return HttpResponse.json(
        Object.fromEntries(proxies.list.map((proxy) => [proxy.name, proxyJson(proxy)])),
      )
    case 'POST proxies': {
      const spec = proxySpec(await jsonOf(request))
      if (proxies.get(spec.name) !== undefined) throw new ApiError(409, 'proxy already exists')
      const proxy = await proxies.add(spec)
      return HttpResponse.json(proxyJson(proxy), { status: 201 })
    }
    case 'POST populate':
      return HttpResponse.json({ proxies: await populate(proxies, await jsonOf(request)) }, CREATED)
    case 'POST reset':
      await proxies.reset()
      return new HttpResponse({ status: 204 })
    case 'GET version':
      return HttpResponse.json({ version: COMPATIBLE_VERSION })
    default:
      throw notFound()
  }
}

async function populate(proxies: ChaosProxies, input: unknown): Promise<unknown[]> {
  if (!Array.isArray(input)) throw new ApiError(400, 'bad request body: a list is expected')
  // Everything is looked at before anything is changed.
  const specs = input.map((one, index) => proxySpec(one, ` at proxy ${index + 1}`))
  const made: unknown[] = []
  for (const spec of specs) {
    const before = proxies.get(spec.name)
    const isSame = before?.listen === spec.listen && before?.upstream === spec.upstream
    if (before !== undefined && !isSame) await proxies.remove(before)
    const proxy =
      before !== undefined && isSame
        ? await proxies.update(before, { enabled: spec.enabled ?? true })
        : await proxies.add(spec)
    made.push(proxyJson(proxy))
  }
  return made
}

async function oneProxy(
  proxies: ChaosProxies,
  proxy: ChaosProxy,
  method: string,
  request: HttpRequest,
): Promise<HttpResponse> {
  if (method === 'GET') return HttpResponse.json(proxyJson(proxy))
  if (method === 'POST') {
    const change = fieldsOf(await jsonOf(request))
    const { name: _, ...fields } = change
    return HttpResponse.json(proxyJson(await proxies.update(proxy, fields)))
  }
  if (method !== 'DELETE') throw notAllowed()
  await proxies.remove(proxy)
  return new HttpResponse({ status: 204 })
}

async function allToxics(
  { toxics }: ChaosProxy,
  method: string,
  request: HttpRequest,
): Promise<HttpResponse> {
  if (method === 'GET') return HttpResponse.json(toxics.list.map(toxicJson))
  if (method !== 'POST') throw notAllowed()
  const spec = objectOf(await jsonOf(request)) as unknown as ToxicSpec
  try {
    return HttpResponse.json(toxicJson(toxics.add(spec)))
  } catch (error) {
    if ((error as HeddleError).code !== 'ERR_STATE') throw error
    throw new ApiError(409, 'toxic already exists')
  }
}

async function oneToxic(
  { toxics }: ChaosProxy,
  name: string,
  method: string,
  request: HttpRequest,
): Promise<HttpResponse> {
  const toxic: Toxic | undefined = toxics.get(name)
  if (toxic === undefined) throw new ApiError(404, 'toxic not found')
  if (method === 'GET') return HttpResponse.json(toxicJson(toxic))
  if (method === 'POST') {
    const { toxicity, attributes } = objectOf(await jsonOf(request))
    const change = {
      ...(toxicity === undefined ? {} : { toxicity: toxicity as number }),
      ...(attributes === undefined ? {} : { attributes: attributes as ToxicAttributes }),
    }
    return HttpResponse.json(toxicJson(toxics.update(name, change)))
  }
  if (method !== 'DELETE') throw notAllowed()
  toxics.remove(name)
  return new HttpResponse({ status: 204 })
}

function proxyJson(proxy: ChaosProxy): unknown {
  const { name, listen, upstream, enabled, toxics } = proxy
  return { name, listen, upstream, enabled, toxics: toxics.list.map(toxicJson) }
}

function proxySpec(input: unknown, where = ''): ProxySpec {
  const { name, upstream, ...rest } = fieldsOf(input)
  if (name === undefined || name === '') {
    throw new ApiError(400, `missing required field: name${where}`)
  }
  if (upstream === undefined || upstream === '') {
    throw new ApiError(400, `missing required field: upstream${where}`)
  }
  return { name, upstream, ...rest }
}

function fieldsOf(input: unknown): Partial<ProxySpec> {
  const object = objectOf(input)
  const fields: { -readonly [Name in keyof ProxySpec]?: ProxySpec[Name] } = {}
  for (const name of ['name', 'listen', 'upstream'] as const) {
    const value = object[name]
    if (value === undefined) continue
    if (typeof value !== 'string')
      throw new ApiError(400, `bad request body: ${name} is not a text`)
    fields[name] = value
  }
  const { enabled } = object
  if (enabled === undefined) return fields
  if (typeof enabled !== 'boolean')
    throw new ApiError(400, 'bad request body: enabled is no boolean')
  return { ...fields, enabled }
}

async function jsonOf(request: HttpRequest): Promise<unknown> {
  const text = await request.body.text(MAX_BODY_BYTES)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ApiError(400, `bad request body: ${(error as Error).message}`)
  }
}

function objectOf(input: unknown): Readonly<Record<string, unknown>> {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    return input as Record<string, unknown>
  }
  throw new ApiError(400, 'bad request body: an object is expected')
}

function parts(path: string): string[] {
  try {
    return path
      .split('/')
      .slice(1)
      .filter((part, index) => index === 0 || part !== '')
      .map(decodeURIComponent)
  } catch {
    throw notFound() // an escape that is none
  }
}

class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

function apiError(error: unknown): { readonly status: number; readonly message: string } {
  if (error instanceof ApiError) return error
  if (!(error instanceof HeddleError)) return { status: 500, message: 'internal error' }
  const { code, message } = error
  const status = code === 'ERR_STATE' ? 409 : error.name === 'TransportError' ? 500 : 400
  return { status, message }
}

const notFound = (): ApiError => new ApiError(404, 'not found')
const notAllowed = (): ApiError => new ApiError(405, 'method not allowed')
const CREATED = { status: 201 }
/** The API that is spoken: clients look at it. */
const COMPATIBLE_VERSION = '2.12.0'
const MAX_BODY_BYTES = 1_048_576
