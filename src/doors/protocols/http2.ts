/** `heddle/protocols/http2`: both sides of an HTTP/2 connection without I/O. */
export * from '../../protocols/http/body.ts'
export * from '../../protocols/http/fields.ts'
export * from '../../protocols/http2/client-session.ts'
export * from '../../protocols/http2/messages.ts'
export * from '../../protocols/http2/metadata.ts'
export * from '../../protocols/http2/options.ts'
export * from '../../protocols/http2/server-session.ts'
export {
  decodeSettingsHeader,
  encodeSettingsHeader,
} from '../../protocols/http2/settings-header.ts'
