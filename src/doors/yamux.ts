/** `heddle/yamux`: many streams over one connection of any byte-stream transport. */

export {
  type YamuxTransportOptions,
  yamux,
  yamuxTransportDefaults,
} from '../links/yamux/yamux.ts'
export {
  type YamuxStreamsOptions,
  yamuxStreams,
  yamuxStreamsDefaults,
} from '../links/yamux/yamux-streams.ts'
export { type YamuxOptions, yamuxDefaults } from '../protocols/yamux/options.ts'
