// What a client shows with every request; nothing that prints it shows the secret.
import { inspect } from 'node:util'
import {
  apiKeyCredentials,
  basicCredentials,
  explainText,
  HttpResponse,
  httpClient,
  httpServer,
} from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using server = httpServer(({ fields }) =>
  HttpResponse.text(`${fields.get('authorization')} ${fields.get('x-api-key')}`),
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const origin = `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`
await using byName = httpClient(origin, { credentials: basicCredentials('ada', 'open sesame') })
await using byKey = httpClient(origin, { credentials: apiKeyCredentials('id.key') })

console.log(await (await byName.get('/')).body.text()) // Basic YWRhOm9wZW4gc2VzYW1l undefined
console.log(await (await byKey.get('/')).body.text()) // undefined id.key
const printed = inspect(byName, { depth: 20, showHidden: true }) + explainText(byName)
console.log(/open sesame|YWRhOm9wZW4/.test(printed)) // false
