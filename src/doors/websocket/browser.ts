/** `heddle/websocket/browser`: the client half of WebSocket for pages; nothing of Node in it. */
export * from '../../core/errors.ts'
export * from '../../links/websocket-browser/browser-connection.ts'
export * from '../../links/websocket-browser/browser-websocket.ts'
