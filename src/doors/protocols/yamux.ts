/** `heddle/protocols/yamux`: both sides of a yamux connection without I/O. */
export * from '../../protocols/yamux/classifier.ts'
export * from '../../protocols/yamux/messages.ts'
export * from '../../protocols/yamux/metadata.ts'
export * from '../../protocols/yamux/options.ts'
export * from '../../protocols/yamux/session.ts'
