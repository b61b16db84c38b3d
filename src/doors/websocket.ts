/** `heddle/websocket`: WebSocket as a transport of messages, and on the port of an HTTP server. */
export type { ExchangeMaker } from '../links/websocket/exchange-handshake.ts'
export * from '../links/websocket/websocket.ts'
export * from '../links/websocket/websocket-connection.ts'
export * from '../links/websocket/websocket-upgrade.ts'
export { CloseCode } from '../protocols/websocket/messages.ts'
export * from '../protocols/websocket/options.ts'
