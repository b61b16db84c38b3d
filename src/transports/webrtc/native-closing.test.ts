// How the driver closes, over a library that does what we say: node-datachannel frees a channel's
// callbacks when it is closed twice at once, and what never tells keeps the process alive.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type Library, nativeDriver } from './node-datachannel-driver.ts'
import type { ChannelEvents, DriverChannel, PeerSettings } from './webrtc-driver.ts'

class FakeChannel {
  open = false
  closes = 0
  told: Record<string, () => void> = {}
  getLabel = () => 'label'
  getProtocol = () => ''
  isOpen = () => this.open
  onClosed = (callback: () => void) => void (this.told['closed'] = callback)
  onOpen = (callback: () => void) => void (this.told['open'] = callback)
  onError() {}
  onBufferedAmountLow() {}
  onMessage() {}
  close() {
    this.closes += 1
    this.open = false
  }
}

class FakePeer {
  static last: FakePeer
  closes = 0
  state: (state: string) => void = () => {}
  incoming: (channel: FakeChannel) => void = () => {}
  channel = new FakeChannel()
  constructor() {
    FakePeer.last = this
  }
  onLocalDescription() {}
  onLocalCandidate() {}
  onDataChannel = (callback: (channel: FakeChannel) => void) => void (this.incoming = callback)
  onStateChange = (callback: (state: string) => void) => void (this.state = callback)
  createDataChannel = () => this.channel
  close() {
    this.closes += 1
  }
}

function scene() {
  const clock = new ManualClock()
  const states: string[] = []
  const arrived: DriverChannel[] = []
  const driver = nativeDriver({ PeerConnection: FakePeer } as unknown as Library, clock)
  const peer = driver.createPeer(SETTINGS, {
    onDescription() {},
    onCandidate() {},
    onChannel: (channel) => void arrived.push(channel),
    onState: (state) => void states.push(state),
  })
  const channel = peer.createChannel(CHANNEL)
  channel.attach(NO_EVENTS)
  return { clock, states, arrived, peer, channel, native: FakePeer.last }
}

test('a channel is left to the library, which closes it with its peer', () => {
  for (const open of [true, false]) {
    const { clock, states, peer, native } = scene()
    native.channel.open = open
    peer.close()
    assert.deepEqual([native.closes, native.channel.closes], [1, 0])
    native.channel.told['closed']?.()
    native.state('closed')
    assert.deepEqual(states, ['closed'])
    assert.equal(clock.pendingTimers, 0)
  }
})

test('a channel that the library is closing is not closed by us as well', () => {
  const { channel, native } = scene()
  native.channel.open = true
  assert.ok(channel.isOpen)
  native.channel.open = false
  channel.close()
  assert.equal(native.channel.closes, 0)

  const other = scene()
  const theirs = new FakeChannel()
  other.native.incoming(theirs)
  other.arrived[0]!.close()
  assert.equal(theirs.closes, 0)
})

test('an open channel is closed alone, one that opens later when it does', () => {
  const { channel, native } = scene()
  native.channel.open = true
  channel.close()
  assert.equal(native.channel.closes, 1)

  const later = scene()
  later.channel.close()
  assert.equal(later.native.channel.closes, 0)
  later.native.channel.open = true
  later.native.channel.told['open']?.()
  assert.equal(later.native.channel.closes, 1)
})

test('a channel that was not closed with its peer is released, and then given up', () => {
  const { clock, peer, channel, native } = scene()
  peer.close()
  native.state('closed')
  clock.advance(99)
  assert.equal(native.channel.closes, 0)
  clock.advance(1)
  assert.equal(native.channel.closes, 1)
  clock.advance(100)
  assert.equal(clock.pendingTimers, 0)
  assert.throws(() => channel.send(new Uint8Array(1)), /the channel is closed/)
})

test('a channel that comes after the peer has closed is released too', () => {
  const { clock, arrived, native } = scene()
  native.channel.told['closed']?.()
  native.state('closed')
  const late = new FakeChannel()
  native.incoming(late)
  assert.deepEqual(arrived, [])
  clock.advance(100)
  assert.equal(late.closes, 1)
  late.told['closed']?.()
  clock.advance(100)
  assert.equal(clock.pendingTimers, 0)
})

test('a peer of which the library never tells that it closed counts as closed after 5 s', () => {
  const { clock, states, peer, native } = scene()
  peer.close()
  clock.advance(4_999)
  assert.deepEqual(states, [])
  clock.advance(1)
  assert.deepEqual(states, ['closed'])
  native.state('closed')
  assert.deepEqual(states, ['closed'])
})

const NO_EVENTS: ChannelEvents = {
  onOpen() {},
  onMessage() {},
  onDrain() {},
  onClosed() {},
  onError() {},
}
const CHANNEL = {
  label: 'label',
  protocol: '',
  ordered: true,
  maxRetransmits: undefined,
  maxPacketLifeTimeMs: undefined,
}
const SETTINGS: PeerSettings = {
  iceServers: [],
  iceTransportPolicy: 'all',
  bindAddress: undefined,
  portRange: undefined,
  maxMessageBytes: 65_536,
}
