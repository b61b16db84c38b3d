/**
 * The client of a signalling server in a page: over the browser's WebSocket. Nothing of Node is
 * imported here.
 */
import { browserClock } from '../../platform/browser-clock.ts'
import { browserWebSocket } from '../websocket-browser/browser-websocket.ts'
import { SignallingClient, type SignallingClientOptions } from './signalling-client.ts'

/** @param url `wss://signal.example/` */
export function browserSignalling(
  url: string,
  options: SignallingClientOptions = {},
): SignallingClient {
  const clock = options.clock ?? browserClock
  return new SignallingClient(
    browserWebSocket({ clock }),
    { kind: 'url', url },
    { ...options, clock },
  )
}
