/**
 * WebRTC data channels as a `MessageTransport`: peers that reach each other through NATs, browsers
 * included. Peers have names, and a `Signalling` carries what they must exchange first.
 *
 * ICE, DTLS and SCTP are a library's, behind `WebRtcDriver`. For pages see browser-webrtc.ts.
 */
import { systemClock } from '../../platform/system-clock.ts'
import { DataChannelTransport, type WebRtcTransport } from './data-channel-transport.ts'
import { nodeDataChannelDriver } from './node-datachannel-driver.ts'
import { checkWebRtcOptions, type WebRtcOptions } from './webrtc-options.ts'

/**
 * @throws UsageError ERR_ARGUMENT when both lossy modes are asked for, ERR_OPTION_RANGE; `connect`
 *   and `listen` reject with ERR_OPTION_UNSUPPORTED where no driver can be loaded
 */
export function webRtc(options: WebRtcOptions): WebRtcTransport {
  const { driver, clock = systemClock } = options
  const load = driver === undefined ? nodeDataChannelDriver : () => Promise.resolve(driver)
  return new DataChannelTransport(checkWebRtcOptions(options), clock, load)
}
