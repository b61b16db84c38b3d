/** `heddle/protocols/sasl`: SCRAM and PLAIN logins, both sides, without I/O. */
export * from '../../core/password-crypto.ts'
export { nodePasswordCrypto } from '../../platform/node-password-crypto.ts'
export * from '../../protocols/sasl/plain.ts'
export * from '../../protocols/sasl/sasl.ts'
export * from '../../protocols/sasl/saslprep.ts'
export {
  ScramClient,
  type ScramClientOptions,
  scramClientDefaults,
} from '../../protocols/sasl/scram-client.ts'
export {
  createScramCredential,
  formatScramCredential,
  parseScramCredential,
  type ScramCredential,
} from '../../protocols/sasl/scram-keys.ts'
export * from '../../protocols/sasl/scram-server.ts'
