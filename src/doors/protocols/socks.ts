/** `heddle/protocols/socks`: the client's side of SOCKS 5, 4 and 4a, sans-I/O. */
export * from '../../protocols/socks/client-session.ts'
export * from '../../protocols/socks/messages.ts'
export * from '../../protocols/socks/metadata.ts'
export * from '../../protocols/socks/options.ts'
