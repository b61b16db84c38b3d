"""aioquic as a peer: raw QUIC, no HTTP.

quic-peer.py server CERT KEY           prints its port; echoes, answers streams of one direction
                                       with one of its own; closes with 42 when a stream says so
quic-peer.py client PORT CA ALPN NAME  does the same from the other side; one line of JSON for each
quic-peer.py datagrams PORT CA NAME    sends unreliable datagrams and says what came back

The server echoes unreliable datagrams (RFC 9221) too.
"""
import asyncio
import json
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    StreamDataReceived,
    StreamReset,
)

BIG = bytes(range(256)) * 1024


def say(**what):
    print(json.dumps(what), flush=True)


class Server(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.heard = {}

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            if event.stream_id & 2 == 0:
                self._quic.send_stream_data(event.stream_id, event.data, event.end_stream)
            text = self.heard.get(event.stream_id, b"") + event.data
            self.heard[event.stream_id] = text
            if text == b"close":
                self._quic.close(error_code=42, reason_phrase="asked to")
            elif text == b"reset":
                self._quic.reset_stream(event.stream_id, 99)
            if event.stream_id & 2 and event.end_stream:
                answer = self._quic.get_next_available_stream_id(is_unidirectional=True)
                self._quic.send_stream_data(answer, text, True)
            self.transmit()
        elif isinstance(event, DatagramFrameReceived):
            self._quic.send_datagram_frame(event.data)
            self.transmit()
        elif isinstance(event, StreamReset):
            say(reset=event.error_code)
        elif isinstance(event, ConnectionTerminated):
            say(closed=event.error_code, reason=event.reason_phrase)


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.done = {}
        self.data = {}
        self.unidirectional = asyncio.get_running_loop().create_future()
        self.terminated = asyncio.get_running_loop().create_future()
        self.reset = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
            if event.end_stream:
                text = self.data[event.stream_id]
                if event.stream_id in self.done:
                    self.done[event.stream_id].set_result(text)
                elif not self.unidirectional.done():
                    self.unidirectional.set_result(text)
        elif isinstance(event, StreamReset) and not self.reset.done():
            self.reset.set_result(event.error_code)
        elif isinstance(event, ConnectionTerminated) and not self.terminated.done():
            self.terminated.set_result(event)

    async def ask(self, data):
        stream = self._quic.get_next_available_stream_id()
        self.done[stream] = asyncio.get_running_loop().create_future()
        self._quic.send_stream_data(stream, data, True)
        self.transmit()
        return await asyncio.wait_for(self.done[stream], 20)


async def server(cert, key):
    configuration = QuicConfiguration(
        is_client=False, alpn_protocols=["echo/1"], max_datagram_frame_size=65536
    )
    configuration.load_cert_chain(cert, key)
    listening = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Server, retry=True)
    say(port=listening._transport.get_extra_info("sockname")[1])
    await asyncio.Event().wait()


async def client(port, ca, alpn, name):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=[alpn], server_name=name)
    configuration.load_verify_locations(ca)
    try:
        async with connect("127.0.0.1", int(port), configuration=configuration, create_protocol=Client) as peer:
            say(echo=await peer.ask(b"hello") == b"hello", big=await peer.ask(BIG) == BIG)
            many = await asyncio.gather(*[peer.ask(bytes([n]) * 1000) for n in range(50)])
            say(many=sum(text == bytes([n]) * 1000 for n, text in enumerate(many)))
            stream = peer._quic.get_next_available_stream_id(is_unidirectional=True)
            peer._quic.send_stream_data(stream, b"one way", True)
            peer.transmit()
            say(unidirectional=(await asyncio.wait_for(peer.unidirectional, 20)).decode())
            stream = peer._quic.get_next_available_stream_id()
            peer._quic.send_stream_data(stream, b"reset", False)
            peer.transmit()
            say(reset=await asyncio.wait_for(peer.reset, 20))
            stream = peer._quic.get_next_available_stream_id()
            peer._quic.send_stream_data(stream, b"close", False)
            peer.transmit()
            event = await asyncio.wait_for(peer.terminated, 20)
            say(closed=event.error_code, reason=event.reason_phrase)
    except ConnectionError:
        say(failed=True)


class Datagrams(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.came = asyncio.Queue()

    def quic_event_received(self, event):
        if isinstance(event, DatagramFrameReceived):
            self.came.put_nowait(event.data)


async def datagrams(port, ca, name):
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["echo/1"], server_name=name, max_datagram_frame_size=65536
    )
    configuration.load_verify_locations(ca)
    async with connect("127.0.0.1", int(port), configuration=configuration, create_protocol=Datagrams) as peer:
        for length in (0, 1, 1000):
            payload = b"x" * length
            peer._quic.send_datagram_frame(payload)
            peer.transmit()
            say(length=length, same=await asyncio.wait_for(peer.came.get(), 20) == payload)


asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
