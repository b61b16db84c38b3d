/**
 * What a socket alone can do: `node:net` that takes as many bytes as a frame has and writes as many
 * as its answer has. It looks at the first frame of a connection only; all must be alike.
 */
import { createHash } from 'node:crypto'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { ready } from '../harness/peer.ts'

const server = createServer({ noDelay: true }, (socket) => {
  socket.once('data', (chunk) => shakeHands(socket, chunk.toString('latin1')))
  socket.on('error', () => socket.destroy())
})
server.listen(0, '127.0.0.1', () => ready({ port: (server.address() as AddressInfo).port }))

function shakeHands(socket: Socket, head: string): void {
  const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? ''
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`,
  )
  let waiting = Buffer.alloc(0)
  let frameBytes = 0
  let answers = Buffer.alloc(0)
  let answerBytes = 0
  let received = 0
  socket.on('data', (chunk: Buffer) => {
    if (frameBytes === 0) {
      waiting = Buffer.concat([waiting, chunk])
      const frame = firstFrame(waiting)
      if (frame === undefined) return
      frameBytes = frame.bytes
      answerBytes = frame.answer.length
      const copies = Math.max(1, Math.ceil(READ_BYTES / frameBytes) + 1)
      answers = Buffer.concat(Array.from({ length: copies }, () => frame.answer))
      received = waiting.length
    } else received += chunk.length
    const whole = Math.floor(received / frameBytes)
    received -= whole * frameBytes
    if (whole > 0) socket.write(answers.subarray(0, whole * answerBytes))
  })
}

/** The answer to a masked frame, once it is whole. */
function firstFrame(input: Buffer): { bytes: number; answer: Buffer } | undefined {
  if (input.length < 14) return undefined
  const short = (input[1] as number) & 0x7f
  const extra = short < 126 ? 0 : short === 126 ? 2 : 8
  let length = short
  if (extra === 2) length = input.readUInt16BE(2)
  if (extra === 8) length = Number(input.readBigUInt64BE(2))
  const at = 6 + extra
  if (input.length < at + length) return undefined
  const answer = Buffer.alloc(2 + extra + length)
  input.copy(answer, 0, 0, 2 + extra)
  answer[1] = short
  for (let index = 0; index < length; index++) {
    const key = input[at - 4 + (index & 3)] as number
    answer[2 + extra + index] = (input[at + index] as number) ^ key
  }
  return { bytes: at + length, answer }
}

const READ_BYTES = 262_144
