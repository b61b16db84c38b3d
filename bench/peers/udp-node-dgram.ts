/** `node:dgram`: what comes is sent back. */
import { createSocket } from 'node:dgram'
import { ready } from '../harness/peer.ts'

const socket = createSocket('udp4')
socket.on('message', (message, from) => socket.send(message, from.port, from.address))
socket.bind(0, '127.0.0.1', () => ready({ port: socket.address().port }))
