/** `heddle/framed`: messages over any byte-stream transport, by length or by delimiter. */
export * from '../links/framed/framed.ts'
export * from '../links/framed/framed-connection.ts'
export * from '../links/framed/framing.ts'
