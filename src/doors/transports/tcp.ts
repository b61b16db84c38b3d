/** `heddle/transports/tcp`: TCP on Node's sockets. */
export * from '../../transports/tcp/tcp.ts'
export * from '../../transports/tcp/tcp-options.ts'
