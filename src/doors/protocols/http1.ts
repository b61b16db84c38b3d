/** `heddle/protocols/http1`: both sides of an HTTP/1.1 connection without I/O. */

export * from '../../protocols/http/body.ts'
export * from '../../protocols/http/fields.ts'
export * from '../../protocols/http1/client-session.ts'
export * from '../../protocols/http1/messages.ts'
export * from '../../protocols/http1/metadata.ts'
export * from '../../protocols/http1/options.ts'
export * from '../../protocols/http1/server-session.ts'
