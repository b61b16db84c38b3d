/** `heddle/protocols/framing`: messages on a byte stream, by length or by delimiter. */
export * from '../../protocols/framing/delimited.ts'
export * from '../../protocols/framing/fragments.ts'
export * from '../../protocols/framing/json-lines.ts'
export * from '../../protocols/framing/length-prefixed.ts'
