// Four calls, one request: each caller gets its own answer, or its own error.
import { Call } from 'heddle/core'
import { batching } from 'heddle/patterns'
import { systemClock, TimerWheel } from 'heddle/runtime'

let requests = 0
const users = batching<number, string>(
  async (ids) => {
    requests++
    return ids.map((id) =>
      id > 0 ? { reply: `user ${id}` } : { error: new Error(`no user ${id}`) },
    )
  },
  { wheel: new TimerWheel({ clock: systemClock }), maxItems: 4, maxDelayMs: 5 },
)
const outcomes = await Promise.allSettled([1, 2, -1, 3].map((id) => users.call(id, new Call())))
console.log(requests, outcomes.map(({ status }) => status[0]).join('')) // 1 ffrf
