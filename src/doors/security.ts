/** `heddle/security`: certificates for development and tests. */
export * from '../security/dev-certificate.ts'
