// A SCRAM login without I/O: each side proves that it knows the password, and neither sends it.
import {
  type ClientOutcome,
  createScramCredential,
  nodePasswordCrypto as crypto,
  ScramClient,
  ScramServer,
  type ServerOutcome,
} from 'heddle/protocols/sasl'

const mechanism = 'SCRAM-SHA-256'
const kept = await createScramCredential(crypto, 'open sesame', { iterations: 4_096 })
const dataOf = (outcome: ClientOutcome | ServerOutcome) =>
  ('data' in outcome ? outcome.data : undefined) ?? new Uint8Array(0)

const login = async (password: string) => {
  const client = new ScramClient({ mechanism, crypto, name: 'ada', password })
  const server = new ScramServer({
    mechanism,
    crypto,
    credentialOf: (name, done) => done(name === 'ada' ? kept : undefined, ['admin']),
    decoySecret: new Uint8Array(32).fill(1),
  })
  const ask = (data: Uint8Array) => new Promise<ServerOutcome>((done) => server.step(data, done))
  const answer = (data: Uint8Array) => new Promise<ClientOutcome>((done) => client.step(data, done))
  const first = await new Promise<ClientOutcome>((done) => client.start(done))
  const final = await answer(dataOf(await ask(dataOf(first))))
  const verdict = await ask(dataOf(final))
  await answer(dataOf(verdict))
  return `${verdict.type}, client complete: ${client.complete}`
}
console.log(await login('open sesame')) // accepted, client complete: true
console.log(await login('guess')) // refused, client complete: false
