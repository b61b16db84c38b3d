/**
 * WebRTC in a page: the browser's own `RTCPeerConnection`. Nothing of Node is imported here.
 *
 *     browserWebRtc({ signalling: browserSignalling('wss://signal.example/') })
 */
import { UsageError } from '../../core/errors.ts'
import { browserClock } from '../../platform/browser-clock.ts'
import { DataChannelTransport, type WebRtcTransport } from './data-channel-transport.ts'
import { type W3cPeerConnectionClass, w3cDriver } from './w3c-driver.ts'
import { checkWebRtcOptions, type WebRtcOptions } from './webrtc-options.ts'

/** @throws UsageError as `webRtc`; ERR_OPTION_UNSUPPORTED where there is no RTCPeerConnection */
export function browserWebRtc(options: WebRtcOptions): WebRtcTransport {
  const { clock = browserClock, driver = pageDriver() } = options
  const load = () => Promise.resolve(driver)
  return new DataChannelTransport(checkWebRtcOptions(options), clock, load)
}

function pageDriver() {
  const { RTCPeerConnection } = globalThis as { RTCPeerConnection?: W3cPeerConnectionClass }
  if (RTCPeerConnection !== undefined) return w3cDriver(RTCPeerConnection)
  throw new UsageError('ERR_OPTION_UNSUPPORTED', 'there is no RTCPeerConnection here')
}
