/**
 * What goes in and out of an HTTP/1.1 session: what every version has. Requests may be pipelined;
 * responses leave in the order of the requests, whatever order they are submitted in.
 */
export type * from '../http/exchange.ts'
