/** An HTTP client and servers over memory, for tests of what travels with a call. */
import type { TestContext } from 'node:test'
import {
  type HttpClient,
  type HttpClientOptions,
  httpClient,
} from '../../src/clients/http/http-client.ts'
import { memory } from '../../src/core/address.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import type { HttpService } from '../../src/protocols/http/messages.ts'
import { type HttpServerOptions, httpServer } from '../../src/servers/http/http-server.ts'
import { memory as memoryTransport } from '../../src/transports/memory/memory-transport.ts'

export interface HttpWorld {
  serve(name: string, service: HttpService, options?: HttpServerOptions): Promise<void>
  client(name: string | readonly string[], options?: HttpClientOptions): HttpClient
}

export function httpWorld(t: TestContext): HttpWorld {
  const transport = memoryTransport({ clock: systemClock })
  return {
    async serve(name, service, options) {
      const server = httpServer(service, options)
      await server.listen(transport, memory(name))
      t.after(() => server.close({ signal: AbortSignal.abort(new Error('test over')) }))
    },
    client(names, options) {
      const endpoints = [names].flat().map((name) => ({ address: memory(name) }))
      const client = httpClient('http://svc.test', { transport, endpoints, ...options })
      t.after(() => client.core.destroy())
      return client
    },
  }
}
