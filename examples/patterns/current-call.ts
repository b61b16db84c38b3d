// Code far below a service knows which call it runs for, without anybody passing it along.
import { Call } from 'heddle/core'
import { callScope, currentCall } from 'heddle/patterns'

const log = (what: string): string => `${currentCall()?.correlationId}: ${what}`
const service = callScope<string, string>()(async (request) => {
  await undefined
  return log(`looked up ${request}`)
})
console.log(await service('42', new Call({ correlationId: 'req-7' }))) // req-7: looked up 42
