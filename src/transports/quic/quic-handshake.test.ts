import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { authority, ca, credentials, quicPair } from '../../../test/transports/quic-fixture.ts'
import { simulatedDatagrams } from '../../../test/transports/simulated-datagrams.ts'
import { memory } from '../../core/address.ts'
import { TransportError } from '../../core/errors.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { pinOf } from '../tls/certificate-pins.ts'
import { quic } from './quic.ts'
import { quicAvailability } from './quic-availability.ts'
import type { QuicOptions } from './quic-options.ts'

const { available, reason } = quicAvailability()

/** Connects where it must fail. @returns the client's error, and what the listener reported */
async function refused(
  client: QuicOptions,
  server: QuicOptions = {},
): Promise<{ error: TransportError; reported: readonly TransportError[] }> {
  const carrier = simulatedDatagrams()
  const reported: TransportError[] = []
  const listener = await quic({ carrier, credentials, ca, ...server }).listen(memory('0'), {
    // In TLS 1.3 a client is done before the server has looked at its certificate.
    onConnection: (connection) => connection.destroy(),
    onError: (error) => void reported.push(error as TransportError),
  })
  const options: QuicOptions = { carrier, ca, serverName: 'localhost', ...client }
  try {
    const connection = await quic(options).connect(listener.address)
    const error = await new Promise<Error | undefined>((onClose) => {
      connection.open({ onStream() {}, onStreamsAvailable() {}, onClose })
    })
    assert.ok(error instanceof TransportError, String(error))
    return { error, reported }
  } catch (error) {
    assert.ok(error instanceof TransportError, String(error))
    assert.equal(error.sent, 'nothing')
    // It goes on: the next client, which is right, gets in.
    await goesOn(carrier, listener.address, server)
    return { error, reported }
  } finally {
    await listener.close({ signal: AbortSignal.abort() })
  }
}

async function goesOn(
  carrier: QuicOptions['carrier'] & object,
  address: Parameters<ReturnType<typeof quic>['connect']>[0],
  server: QuicOptions,
): Promise<void> {
  if (server.credentials !== undefined || server.clientCertificates !== undefined) return
  const alpn = server.alpn ?? ['heddle/1']
  const next = await quic({ carrier, ca, alpn, serverName: 'localhost' }).connect(address)
  next.destroy()
}

describe('quic handshakes', { skip: available ? false : (reason ?? true) }, () => {
  test('refuse an authority that is not trusted: ERR_TLS, both sides', async () => {
    const other = await DevAuthority.create(systemClock)
    const { error, reported } = await refused({ ca: other.ca })
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /self-signed certificate in certificate chain/)
    assert.equal(reported[0]?.code, 'ERR_TLS')
    assert.match(String(reported[0]?.message), /does not trust the issuer/)
  })

  test('refuse a name that the certificate is not for: ERR_TLS', async () => {
    const { error } = await refused({ serverName: 'other.example' })
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /hostname mismatch/i)
  })

  test('refuse an address that the certificate is not for: ERR_TLS', async () => {
    const { error } = await refused({ serverName: '192.0.2.1' })
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /IP address mismatch/i)
  })

  test('check the address that was dialled when there is no other name', async () => {
    await using pair = await quicPair({ network: 'udp', client: { serverName: '127.0.0.1' } })
    assert.equal(pair.client.connection.facts.tls?.authorized, true)
  })

  test('refuse a certificate that has expired: ERR_TLS', async () => {
    const expired = await authority.issue({ validDays: -1 })
    const { error } = await refused({}, { credentials: expired })
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /expired/)
  })

  test('refuse a peer without a protocol in common: ERR_TLS, both sides', async () => {
    const { error, reported } = await refused({ alpn: ['x/1'] }, { alpn: ['y/1'] })
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /no application protocol in common/)
    assert.equal(reported[0]?.code, 'ERR_TLS')
  })

  test('refuse a client without the certificate that is required: ERR_TLS', async () => {
    const { error, reported } = await refused({}, { clientCertificates: 'require' })
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /wants a client certificate/)
    assert.match(String(reported[0]?.message), /no client certificate/)
  })

  test('refuse a client certificate of another authority: ERR_TLS', async () => {
    const other = await DevAuthority.create(systemClock)
    const mine = await other.issue({ usage: 'client' })
    const { error } = await refused({ credentials: mine }, { clientCertificates: 'request' })
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /does not trust the issuer of our certificate/)
  })

  test('let a client without a certificate in when one is only requested', async () => {
    await using pair = await quicPair({ server: { clientCertificates: 'request' } })
    assert.equal(pair.server.connection.facts.tls?.authorized, false)
    assert.equal(pair.server.connection.facts.tls?.peerCertificate(), undefined)
  })

  test('accept pinned keys, of the server or of its authority, and no others', async () => {
    const pins = [pinOf(ca), `sha256/${'A'.repeat(43)}=`]
    await using pair = await quicPair({ client: { pins } })
    assert.equal(pair.client.closed, false)
    const { error } = await refused({ pins: [`sha256/${'B'.repeat(43)}=`] })
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /none of its public keys is pinned/)
  })

  test('without verification, only the peer’s own key can be pinned', async () => {
    const own = pinOf(credentials.certificate)
    await using pair = await quicPair({ client: { verify: false, pins: [own] } })
    assert.equal(pair.client.connection.facts.tls?.authorized, false)
    const { error } = await refused({ verify: false, pins: [pinOf(ca)] })
    assert.equal(error.code, 'ERR_TLS')
  })

  test('ask verifyPeer last, with what is known', async () => {
    const asked: unknown[] = []
    const { error } = await refused({
      verifyPeer(peer) {
        asked.push(peer.role, peer.serverName, peer.authorized, peer.chain().length)
        return new Error('not you')
      },
    })
    assert.deepEqual(asked, ['server', 'localhost', true, 2])
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, /refused by verifyPeer: not you/)
  })

  test('need credentials to listen, and good ones', async () => {
    const carrier = simulatedDatagrams()
    const at = memory('0')
    const onConnection = () => {}
    await assert.rejects(quic({ carrier }).listen(at, { onConnection }), { code: 'ERR_ARGUMENT' })
    const other = await authority.issue()
    const mixed = { certificate: credentials.certificate, key: other.key }
    await assert.rejects(quic({ carrier, credentials: mixed }).listen(at, { onConnection }), {
      code: 'ERR_CONFIG',
    })
    const noCa = quic({ carrier, ca: 'nothing' }).connect(at, { serverName: 'x' })
    await assert.rejects(noCa, { code: 'ERR_CONFIG' })
  })

  test('need a name to check where the address has none', async () => {
    await assert.rejects(quic({ carrier: simulatedDatagrams() }).connect(memory('x')), {
      code: 'ERR_ARGUMENT',
    })
  })

  test('work without Retry too', async () => {
    await using pair = await quicPair({ server: { retry: false } })
    assert.equal(pair.server.closed, false)
  })

  test('take a key with a passphrase', async () => {
    const { createPrivateKey } = await import('node:crypto')
    const key = createPrivateKey(credentials.key).export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'secret',
    })
    const encrypted = {
      certificate: credentials.certificate,
      key: String(key),
      passphrase: 'secret',
    }
    await using pair = await quicPair({ server: { credentials: encrypted } })
    assert.equal(pair.client.closed, false)
  })

  test('refuse where nobody listens: ERR_CONNECT_REFUSED', async () => {
    const carrier = simulatedDatagrams()
    const connecting = quic({ carrier, ca, serverName: 'x' }).connect(memory('nobody'))
    await assert.rejects(connecting, { code: 'ERR_CONNECT_REFUSED', sent: 'nothing' })
  })
})
