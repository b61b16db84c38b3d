// Which transport: by URL, by requirement, and what this machine can do.
import { formatTransportUrl, readTransportUrl } from 'heddle/core'
import {
  explainSelection,
  selectTransport,
  streamTransportFor,
  transportCapabilities,
  transportOverride,
} from 'heddle/transports'

// A URL or a multiaddr says how as well as where; only what it names is loaded.
console.log(formatTransportUrl(readTransportUrl('/dns/example.com/tcp/443/tls/ws'))) // wss://example.com/
const { transport, address } = await streamTransportFor('mem:app')
console.log(transport.name, address) // memory { kind: 'memory', name: 'app' }

// A peer that can be reached in several ways: what is required refuses, what is preferred sorts.
const selection = selectTransport({
  requirements: { encryption: true, prefer: 'throughput' },
  candidates: ['tcp://db.example:5432', 'tls://db.example:5433', 'quic://db.example:5433'],
  overrides: transportOverride({ config: '' }), // HEDDLE_TRANSPORT, where it is set
})
console.log(selection.chosen.url) // tls://db.example:5433
console.log(explainSelection(selection).split('\n').at(-1)) //   no  tcp://db.example:5432   is not encrypted

// Each is used once on loopback; what does not work says why.
const [tcp] = await transportCapabilities({ only: ['tcp'] })
console.log(tcp?.available, tcp?.reason) // true undefined
