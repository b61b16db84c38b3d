/** `heddle/discovery`: resolvers that find endpoints. */
export * from '../discovery/dns.ts'
export * from '../discovery/dns-lookup.ts'
