// Nobody waits, nothing rejects: what has no room is dropped, what fails is counted.
import { fireAndForget } from 'heddle/patterns'
import { systemClock, TimerWheel } from 'heddle/runtime'

const metrics = fireAndForget<string>(
  async (line) => {
    if (line === 'bad') throw new Error('refused')
  },
  { wheel: new TimerWheel({ clock: systemClock }), maxPending: 2 },
)
console.log(['good', 'bad', 'one too many'].map((line) => metrics.send(line)).join()) // true,true,false
await metrics.close()
const { sent, failed, dropped } = metrics.stats
console.log(sent, failed, dropped) // 1 1 1
