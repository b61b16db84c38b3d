/**
 * Requests that readers disagree about, and their harmless neighbours: what a server session does
 * with each. The unit tests, the fuzzer and the comparison with other servers all read this table.
 *
 * `\r\n` stands for itself; every character is one byte.
 */

export interface SmugglingCase {
  readonly name: string
  readonly bytes: string
  /** Status of the refusal. Undefined: accepted. */
  readonly status: number | undefined
  /** Requests that are handed out, before the refusal if there is one. */
  readonly requests: number
}

const H = 'Host: a\r\n'
const NEXT = 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n'
const CHUNKED = 'Transfer-Encoding: chunked\r\n'

/** A GET with these field lines behind Host. */
const get = (lines: string): string => `GET / HTTP/1.1\r\n${H}${lines}\r\n`
/** A POST with these field lines behind Host, and what follows the head. */
const post = (lines: string, rest = ''): string => `POST / HTTP/1.1\r\n${H}${lines}\r\n${rest}`
/** A chunked POST, complete with a request behind it. */
const chunks = (body: string): string => post(CHUNKED, body) + NEXT
/** A GET for a target. */
const target = (text: string): string => `GET ${text} HTTP/1.1\r\n${H}\r\n`

export const smugglingCorpus: readonly SmugglingCase[] = [
  // What must go on working.
  ok('a plain GET', get('')),
  ok('two in a pipeline', get('') + NEXT, 2),
  ok('a body by length', post('Content-Length: 5\r\n', 'hello') + NEXT, 2),
  ok('a length of zero', post('Content-Length: 0\r\n') + NEXT, 2),
  ok('a length with leading zeros', post('Content-Length: 0005\r\n', 'hello') + NEXT, 2),
  ok('a length with spaces around it', post('Content-Length: \t5 \t\r\n', 'hello') + NEXT, 2),
  ok('chunks', chunks('5\r\nhello\r\n0\r\n\r\n'), 2),
  ok('chunks with capitals and leading zeros', chunks('00A\r\n0123456789\r\n000\r\n\r\n'), 2),
  ok('a chunk extension', chunks('5;a="b;c"\r\nhello\r\n0;x\r\n\r\n'), 2),
  ok('trailers', chunks('1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n'), 2),
  ok(
    'Transfer-Encoding in another case',
    post('TRANSFER-encoding: Chunked\r\n', '0\r\n\r\n') + NEXT,
    2,
  ),
  ok('a GET with a body', `${get('Content-Length: 5\r\n')}hello${NEXT}`, 2),
  ok('an empty field value', get('X:\r\n')),
  ok('a value of spaces', get('X: \t \r\n')),
  ok('obs-text in a value', get('X: caf\xe9\r\n')),
  ok('one empty line before the request', `\r\n${get('')}`),
  ok('an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'),
  ok('an IPv6 Host', 'GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n'),
  ok('HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n'),
  ok('an absolute target that agrees', 'GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n'),
  ok('OPTIONS *', `OPTIONS * HTTP/1.1\r\n${H}\r\n`),
  ok('a target with every allowed mark', target("/-._~:?[]@!$&'()*+,;=%20")),

  // Two lengths, or something that is not one.
  bad('two lengths', post('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello!')),
  bad('two equal lengths', post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello')),
  bad('a list of lengths', post('Content-Length: 5, 5\r\n', 'hello')),
  bad('a length with a plus', post('Content-Length: +5\r\n', 'hello')),
  bad('a length with a minus', post('Content-Length: -5\r\n', 'hello')),
  bad('a length with a space inside', post('Content-Length: 1 5\r\n', 'hello')),
  bad('a length with an underscore', post('Content-Length: 1_0\r\n', '0123456789')),
  bad('a length in hexadecimal', post('Content-Length: 0x5\r\n', 'hello')),
  bad('a length with a point', post('Content-Length: 5.0\r\n', 'hello')),
  bad('a length in exponent form', post('Content-Length: 5e0\r\n', 'hello')),
  bad('an empty length', post('Content-Length:\r\n')),
  bad('a length of 2^53', post('Content-Length: 9007199254740992\r\n')),
  bad('a length of 2^64 + 5', post('Content-Length: 18446744073709551621\r\n', 'hello')),
  bad('a length with a letter behind', post('Content-Length: 5a\r\n', 'hello')),
  bad('a quoted length', post('Content-Length: "5"\r\n', 'hello')),
  bad('a length with a vertical tab', post('Content-Length: \x0b5\r\n', 'hello')),
  bad('a length in digits of another script', post('Content-Length: \xb2\r\n', '12')),

  // Length and coding, and codings that are not one.
  bad('length and chunked', post(`Content-Length: 5\r\n${CHUNKED}`, '0\r\n\r\n')),
  bad('chunked and length', post(`${CHUNKED}Content-Length: 5\r\n`, '0\r\n\r\n')),
  bad('length and identity', post('Content-Length: 5\r\nTransfer-Encoding: identity\r\n', 'hello')),
  bad('identity alone', post('Transfer-Encoding: identity\r\n')),
  bad('chunked, identity', post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n')),
  bad('chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')),
  bad('chunked in two lines', post(CHUNKED + CHUNKED, '0\r\n\r\n')),
  bad(
    'chunked, then gzip in a second line',
    post(`${CHUNKED}Transfer-Encoding: gzip\r\n`, '0\r\n\r\n'),
  ),
  bad('xchunked', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')),
  bad('chunkedx', post('Transfer-Encoding: chunkedx\r\n', '0\r\n\r\n')),
  bad('chunked with a parameter', post('Transfer-Encoding: chunked;q=1\r\n', '0\r\n\r\n')),
  bad('chunked in quotes', post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n')),
  bad('chunked behind a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n')),
  bad('chunked behind a form feed', post('Transfer-Encoding: \x0cchunked\r\n', '0\r\n\r\n')),
  bad('chunked with a NUL behind', post('Transfer-Encoding: chunked\0\r\n', '0\r\n\r\n')),
  bad('chunked behind a no-break space', post('Transfer-Encoding: \xa0chunked\r\n', '0\r\n\r\n')),
  bad('an empty coding', post('Transfer-Encoding:\r\n')),
  bad('an empty element before chunked', post('Transfer-Encoding: , chunked\r\n', '0\r\n\r\n')),
  bad('chunked and an empty element', post('Transfer-Encoding: chunked,\r\n', '0\r\n\r\n')),
  bad('chunked in HTTP/1.0', `POST / HTTP/1.0\r\n${CHUNKED}\r\n0\r\n\r\n`),
  bad('a coding that is not known', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), 501),
  bad(
    'Transfer-Encoding with a space before the colon',
    post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'),
  ),
  bad(
    'Transfer-Encoding with a tab before the colon',
    post('Transfer-Encoding\t: chunked\r\n', '0\r\n\r\n'),
  ),
  bad(
    'Transfer-Encoding behind a space',
    post('X: 1\r\n Transfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ),
  bad(
    'Transfer-Encoding with a NUL in its name',
    post('Transfer\0-Encoding: chunked\r\n', '0\r\n\r\n'),
  ),
  bad('Transfer-Encoding folded', post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n')),
  bad(
    'Transfer-Encoding behind a bare CR',
    post('X: 1\rTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ),
  bad(
    'Transfer-Encoding behind a bare LF',
    post('X: 1\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ),
  // Names that are not the ones that frame, to us and to everybody: accepted, without a body.
  ok('Transfer_Encoding', post('Transfer_Encoding: chunked\r\n') + NEXT, 2),
  ok('Content_Length', post('Content_Length: 5\r\n') + NEXT, 2),

  // Line ends.
  bad('LF alone in the request line', `GET / HTTP/1.1\n${H}\r\n`),
  bad('LF alone behind a field', 'GET / HTTP/1.1\r\nHost: a\n\r\n'),
  bad('LF alone as the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\n'),
  bad('LF alone everywhere', 'GET / HTTP/1.1\nHost: a\n\n'),
  bad('CR alone in a value', get('X: a\rb\r\n')),
  bad('CR alone at the end of a value', 'GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n'),
  bad('CR CR LF', 'GET / HTTP/1.1\r\nHost: a\r\r\n\r\n'),
  bad('CR alone in the request line', `GET / HTTP/1.1\r${H}\r\n`),
  bad('an empty line of LF before the request', `\n${get('')}`),
  bad('two empty lines before the request', `\r\n\r\n${get('')}`),
  bad('a space before the request', ` ${get('')}`),
  bad('a field line before Host that starts with a space', `GET / HTTP/1.1\r\n X: a\r\n${H}\r\n`),
  bad('obs-fold', get('X: a\r\n b\r\n')),
  bad('obs-fold with a tab', get('X: a\r\n\tb\r\n')),
  bad('a line of spaces', get('   \r\n')),

  // Names and values.
  bad('a field without a colon', get('X\r\n')),
  bad('a field without a name', get(': x\r\n')),
  bad('a space in a name', get('X Y: z\r\n')),
  bad('a bracket in a name', get('X[]: z\r\n')),
  bad('a name with a high byte', get('X\xe9: z\r\n')),
  bad('a NUL in a value', get('X: a\0b\r\n')),
  bad('a DEL in a value', get('X: a\x7fb\r\n')),
  bad('an escape in a value', get('X: \x1b[0m\r\n')),

  // The request line.
  bad('a method with a bracket', `GE[T / HTTP/1.1\r\n${H}\r\n`),
  bad('a method with a colon', `GET: / HTTP/1.1\r\n${H}\r\n`),
  bad('no method', ` / HTTP/1.1\r\n${H}\r\n`),
  bad('two spaces behind the method', `GET  / HTTP/1.1\r\n${H}\r\n`),
  bad('a tab behind the method', `GET\t/ HTTP/1.1\r\n${H}\r\n`),
  bad('two spaces before the version', `GET /  HTTP/1.1\r\n${H}\r\n`),
  bad('a space behind the version', `GET / HTTP/1.1 \r\n${H}\r\n`),
  bad('no version', `GET /\r\n${H}\r\n`),
  bad('HTTP/0.9', 'GET /\r\n'),
  bad('a version in small letters', `GET / http/1.1\r\n${H}\r\n`),
  bad('a version of one digit', `GET / HTTP/1\r\n${H}\r\n`),
  bad('a version of three digits', `GET / HTTP/1.10\r\n${H}\r\n`),
  bad('HTTP/1.2', `GET / HTTP/1.2\r\n${H}\r\n`, 505),
  bad('HTTP/2.0', `GET / HTTP/2.0\r\n${H}\r\n`, 505),
  bad('HTTP/0.9 in full', `GET / HTTP/0.9\r\n${H}\r\n`, 505),
  bad('an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505),
  bad('a TLS hello', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'),
  bad('an SSH greeting', 'SSH-2.0-OpenSSH_9.6\r\n'),

  // The target.
  bad('a space in the target', target('/a b')),
  bad('a control character in the target', target('/a\x01')),
  bad('a high byte in the target', target('/\xe9')),
  bad('a fragment in the target', target('/a#b')),
  bad('a target without a slash', target('a')),
  bad('* with GET', target('*')),
  bad('an absolute target that disagrees with Host', target('http://b/')),
  bad('an absolute target with a user', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n'),
  bad('an absolute target without a host', target('http:///x')),
  bad('an absolute target of another scheme', target('ftp://a/')),
  bad('an absolute target of https on a plain port', target('https://a/'), 421),
  bad('CONNECT without a port', 'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n'),
  bad('CONNECT with a path', `CONNECT / HTTP/1.1\r\n${H}\r\n`),
  bad('CONNECT with a body', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\nx'),
  bad('a target of host and port with GET', target('a:80')),

  // Host.
  bad('no Host', 'GET / HTTP/1.1\r\n\r\n'),
  bad('two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'),
  bad('two Hosts in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n'),
  bad('a Host with a space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'),
  bad('a Host with a comma', 'GET / HTTP/1.1\r\nHost: a,b\r\n\r\n'),
  bad('a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'),
  bad('a Host with a user', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n'),
  bad('a Host with a bad port', 'GET / HTTP/1.1\r\nHost: a:b\r\n\r\n'),
  bad('a Host with a port of six digits', 'GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n'),
  bad('a Host with half a bracket', 'GET / HTTP/1.1\r\nHost: [::1\r\n\r\n'),

  // Chunks.
  badBody('a chunk size with 0x', chunks('0x5\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size with a plus', chunks('+5\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size with a minus', chunks('-5\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size behind a space', chunks(' 5\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size before a space', chunks('5 \r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size before a space and an extension', chunks('5 ;a\r\nhello\r\n0\r\n\r\n')),
  badBody('an empty chunk size', chunks('\r\nhello\r\n0\r\n\r\n')),
  badBody('an extension without a size', chunks(';a\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size with a letter behind f', chunks('5g\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size with an underscore', chunks('0_5\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size of 14 digits', chunks('00000000000005\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size of 2^64', chunks('10000000000000000\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size ended by LF', chunks('5\nhello\r\n0\r\n\r\n')),
  badBody('a chunk size ended by CR', chunks('5\rhello\r\n0\r\n\r\n')),
  badBody('a chunk size ended by CR CR LF', chunks('5\r\r\nhello\r\n0\r\n\r\n')),
  badBody('an extension ended by LF', chunks('5;a\nhello\r\n0\r\n\r\n')),
  badBody('an extension with a bare CR', chunks('5;a\rb\r\nhello\r\n0\r\n\r\n')),
  badBody('an extension with a NUL', chunks('5;a\0\r\nhello\r\n0\r\n\r\n')),
  badBody('content that is longer than its chunk', chunks('4\r\nhello\r\n0\r\n\r\n')),
  badBody('content that is shorter than its chunk', chunks('6\r\nhello\r\n0\r\n\r\n')),
  badBody('a chunk without a line end', chunks('5\r\nhello0\r\n\r\n')),
  badBody('a chunk with LF alone behind it', chunks('5\r\nhello\n0\r\n\r\n')),
  badBody('a trailer with a space before the colon', chunks('0\r\nX : a\r\n\r\n')),
  badBody('a trailer with LF alone', chunks('0\r\nX: a\n\r\n')),
  badBody('Content-Length as a trailer', chunks('0\r\nContent-Length: 5\r\n\r\n')),
  badBody('Transfer-Encoding as a trailer', chunks('0\r\nTransfer-Encoding: chunked\r\n\r\n')),
  badBody('Host as a trailer', chunks('0\r\nHost: b\r\n\r\n')),

  // Behind a good request.
  bad('rubbish behind a request', `${get('')}\0\0\0`, 400, 1),
  bad('a request without Host behind a request', `${get('')}GET / HTTP/1.1\r\n\r\n`, 400, 1),
  bad(
    'more body than its length says',
    `${post('Content-Length: 1\r\n', 'xyz')}\r\n${NEXT}`,
    400,
    1,
  ),

  // Expectations.
  bad('an expectation that is not known', get('Expect: 200-ok\r\n'), 417),
]

function ok(name: string, bytes: string, requests = 1): SmugglingCase {
  return { name, bytes, status: undefined, requests }
}

/** Refused in a head. */
function bad(name: string, bytes: string, status = 400, requests = 0): SmugglingCase {
  return { name, bytes, status, requests }
}

/** Refused in the body of a request that was handed out. */
function badBody(name: string, bytes: string): SmugglingCase {
  return { name, bytes, status: 400, requests: 1 }
}
