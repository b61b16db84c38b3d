/** Fields whose values let somebody in, and are in no log, page or dump. */

/** By its name, in any case: credentials and cookies, and what others call their keys and tokens. */
export function isSecretField(name: string): boolean {
  return SECRET_FIELD.test(name)
}

const SECRET_FIELD =
  /^(?:proxy-)?authori[sz]ation$|^(?:set-)?cookie2?$|^(?:proxy-)?authentication-info$|secret|token|passw|api-?key|credential|session|signature/i
