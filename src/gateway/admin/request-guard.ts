/**
 * Keeps other people's web pages away from the admin service.
 *
 * The service listens on loopback, but a browser on the same machine carries every page it shows
 * there. Two ways in, two checks:
 *
 * - **DNS rebinding**: `http://evil.example` is made to resolve to 127.0.0.1, so that the page reads
 *   us as its own origin. The `Host` then is `evil.example`: only names that cannot be rebound are
 *   answered, which are loopback names, IP addresses and names that the configuration lists.
 * - **Cross-site requests**: a page posts to `http://localhost:9901/drain`. Browsers put `Origin` on
 *   every POST and `Sec-Fetch-Site` on everything: both must say that it is our own page.
 *
 * A client that is no browser sends neither and is not concerned.
 */
import { isIP } from 'node:net'
import type { HttpRequest } from '../../protocols/http/messages.ts'

/**
 * Why the request is refused, for people; undefined: it may pass.
 * @param allowedHosts further names, in lower case; one that starts with '.' allows what ends so
 */
export function refusal(request: HttpRequest, allowedHosts: readonly string[]): string | undefined {
  return (
    refusedHost(request, allowedHosts) ??
    refusedSite(request) ??
    (isSafe(request.method) ? undefined : refusedOrigin(request))
  )
}

export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

function refusedHost(request: HttpRequest, allowedHosts: readonly string[]): string | undefined {
  // No web page can make a browser open a Unix socket.
  if (request.connection?.facts.transport === 'unix') return undefined
  const host = hostOf(request)
  // HTTP/1.0 probes of load balancers send none; browsers always do.
  if (host === '') return undefined
  const name = hostName(host)
  if (name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0) return undefined
  for (const allowed of allowedHosts) {
    if (allowed.startsWith('.') ? name.endsWith(allowed) : name === allowed) return undefined
  }
  return (
    `host '${host}' is not allowed: admin answers loopback names and IP addresses, ` +
    'and names listed in admin.allowed_hosts'
  )
}

/** Only our own page, a link somebody followed, or no browser at all. */
function refusedSite(request: HttpRequest): string | undefined {
  const site = request.fields.get('sec-fetch-site')
  if (site === undefined || site === 'same-origin' || site === 'none') return undefined
  const isLink = request.fields.get('sec-fetch-mode') === 'navigate' && isSafe(request.method)
  return isLink ? undefined : `the request comes from another site (Sec-Fetch-Site: ${site})`
}

function refusedOrigin(request: HttpRequest): string | undefined {
  const origin = request.fields.get('origin')
  if (origin === undefined) return undefined
  const host = hostOf(request).toLowerCase()
  if (host !== '' && URL.canParse(origin) && new URL(origin).host === host) return undefined
  return `origin '${origin}' does not match host '${host}': changes come from the admin page itself`
}

function hostOf(request: HttpRequest): string {
  return request.authority || (request.fields.get('host') ?? '')
}

/** Without port, brackets and the final dot of an absolute name. */
function hostName(host: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host)
  return (match?.[1] ?? match?.[2] ?? host).toLowerCase().replace(/\.$/, '')
}
