/** `heddle/transports/unix`: Unix domain sockets. */
export * from '../../transports/unix/unix.ts'
export * from '../../transports/unix/unix-options.ts'
