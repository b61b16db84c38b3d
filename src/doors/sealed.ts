/** `heddle/sealed`: transports sealed with keys that both sides hold beforehand. No forward secrecy. */
export { type SealCipher, SealCiphers, type SealKey } from '../links/sealed/seal-keys.ts'
export { type SealedOptions, sealedDefaults } from '../links/sealed/seal-options.ts'
export * from '../links/sealed/sealed.ts'
