/**
 * How to ask a SOCKS proxy. The protocol has no limits to set: every message has a length of at most
 * 262 bytes that is known from its first bytes.
 */

export interface SocksOptions {
  /**
   * 5: RFC 1928, with user name and password by RFC 1929. 4: the 4a extension where the target is a
   * name.
   *
   * @default 5
   */
  version?: 4 | 5
  /** Version 5: 1 to 255 bytes. Version 4: the user id, without a zero byte. */
  username?: string
  /** Version 5 only: at most 255 bytes. */
  password?: string
}

export const socksDefaults: Readonly<{ version: 4 | 5 }> = Object.freeze({ version: 5 })
