/** `heddle/transports/webrtc/browser`: data channels in a page; nothing of Node in it. */
export * from '../../../core/errors.ts'
export { browserSignalling } from '../../../links/webrtc-signalling/browser-signalling.ts'
export { browserWebRtc } from '../../../transports/webrtc/browser-webrtc.ts'
export type * from '../../../transports/webrtc/signalling.ts'
export { w3cDriver } from '../../../transports/webrtc/w3c-driver.ts'
export { webRtcAddress } from '../../../transports/webrtc/webrtc-address.ts'
