// Three branches: one is slow, one fails. What is there in time is taken, and the rest is named.
import { Call } from 'heddle/core'
import { fanOut } from 'heddle/patterns'
import { systemClock, TimerWheel } from 'heddle/runtime'

const search = fanOut<string, string>(
  [
    { name: 'books', service: async (query) => `a book about ${query}` },
    { name: 'films', service: () => new Promise(() => {}), timeoutMs: 20 },
    { name: 'songs', service: () => Promise.reject(new Error('out of tune')) },
  ],
  { wheel: new TimerWheel({ clock: systemClock }), until: 'partial' },
)
const { replies, failures } = await search('looms', new Call())
console.log(replies.map(({ reply }) => reply).join()) // a book about looms
console.log(failures.map(({ branch }) => branch).join()) // films,songs
