// Calls over a byte stream: many at a time, replies in any order, the deadline goes along.
import { Call } from 'heddle/core'
import { answerRequests, lengthPrefixedMessages, RequestReply } from 'heddle/patterns'
import { systemClock, TimerWheel } from 'heddle/runtime'
import { tcp } from 'heddle/transports/tcp'

const wheel = new TimerWheel({ clock: systemClock })
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (words: string): Uint8Array => new TextEncoder().encode(words)

const listener = await tcp().listen(
  { kind: 'ip', host: '127.0.0.1', port: 0 },
  {
    onConnection: (connection) =>
      answerRequests(
        lengthPrefixedMessages(connection),
        async (body) => bytes(text(body).toUpperCase()),
        { wheel },
      ),
  },
)
const requests = new RequestReply(lengthPrefixedMessages(await tcp().connect(listener.address)), {
  wheel,
})
const call = new Call({ deadline: systemClock.now() + 1_000 })
const replies = await Promise.all(['warp', 'weft'].map((word) => requests.call(bytes(word), call)))
console.log(replies.map(text).join(' ')) // WARP WEFT
requests.close()
await listener.close()
