// Whether a connection may be made at all is a rule like any other: asked before a byte is read.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { connectionAdmission, systemClock } from 'heddle/runtime'
import { AccessPolicy } from 'heddle/security'
import { tcp } from 'heddle/transports/tcp'

const rules = (from: string) =>
  new AccessPolicy({
    roles: {
      guest: {
        allow: [
          {
            level: 'connection',
            actions: ['connect'],
            resources: ['api'],
            when: [{ cidr: [from] }],
          },
        ],
      },
    },
    anonymousRoles: ['guest'],
  })
const outcome = async (from: string) => {
  const admit = connectionAdmission({
    authorizer: rules(from),
    clock: systemClock,
    resource: 'api',
  })
  await using server = httpServer(() => HttpResponse.text('in'), { admit })
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  const port = address.kind === 'ip' ? address.port : 0
  await using client = httpClient(`http://127.0.0.1:${port}`, { retry: false })
  return client.get('/').then(
    ({ status }) => `answered ${status}`,
    () => `refused ${server.stats.refused}`,
  )
}
console.log(await outcome('127.0.0.0/8')) // answered 200
console.log(await outcome('192.0.2.0/24')) // refused 1
