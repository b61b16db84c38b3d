// A SCRAM login without I/O: each side proves that it knows the password, and neither sends it.
import {
  createScramCredential,
  nodePasswordCrypto as crypto,
  ScramClient,
  ScramServer,
} from 'heddle/protocols/sasl'

const kept = await createScramCredential(crypto, 'open sesame', { iterations: 4_096 })
const login = async (password: string) => {
  const mechanism = 'SCRAM-SHA-256'
  const client = new ScramClient({ mechanism, crypto, name: 'ada', password })
  const server = new ScramServer({
    mechanism,
    crypto,
    credentialOf: (name, done) => done(name === 'ada' ? kept : undefined, ['admin']),
    decoySecret: new Uint8Array(32).fill(1),
  })
  const first = await new Promise(client.start.bind(client))
  return { client, server, first }
}
type Outcome = { type: string; data?: Uint8Array }
const talk = async (password: string) => {
  const { client, server, first } = await login(password)
  let outcome = first as Outcome
  let side = ''
  while (outcome.data !== undefined) {
    const { data } = outcome
    const next: { step(data: Uint8Array, done: (outcome: Outcome) => void): void } =
      side === 'server' ? client : server
    side = side === 'server' ? 'client' : 'server'
    outcome = await new Promise<Outcome>((resolve) => next.step(data, resolve))
  }
  return `${side} ${outcome.type}, complete ${client.complete}`
}
console.log(await talk('open sesame')) // client done, complete true
console.log(await talk('guess')) // client failed, complete false
