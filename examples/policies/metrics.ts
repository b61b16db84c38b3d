// Clients and servers count by OpenTelemetry's names; a scraper reads them by Prometheus'.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { Registry, renderPrometheus } from 'heddle/telemetry'
import { tcp } from 'heddle/transports/tcp'

const meter = new Registry({ resource: { 'service.name': 'orders' } })
await using server = httpServer(() => HttpResponse.text('ok'), { meter })
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`, { meter, name: 'orders' })
for (let call = 0; call < 3; call++) await (await client.get('/')).body.text()

const text = renderPrometheus(meter, 'openmetrics')
const count = (name: string) =>
  new RegExp(`^${name}_duration_seconds_count\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1]
console.log(count('http_server_request'), count('http_client_request')) // 3 3
console.log(text.includes('target_info{service_name="orders"} 1')) // true
