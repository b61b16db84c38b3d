/** What carries blocks, by the seed's names and two more. */
export type TransportType = 'TCP' | 'UDP' | 'QUIC' | 'WebSocket' | 'WebRTC' | 'Unix' | 'Memory'
