"""aiortc as a peer that answers an offer, or makes one, and echoes or checks an echo.

    aiortc-peer.py answer     reads an offer (JSON), prints an answer, echoes every message
    aiortc-peer.py offer      prints an offer, reads an answer, checks an echo, prints "ok"

aiortc gathers before it describes, so descriptions hold every candidate.
"""

import asyncio
import json
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

SIZES = [0, 1, 1000, 16384, 65536]


async def read_line():
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def say(value):
    print(json.dumps(value), flush=True)


async def take_candidates(pc):
    while True:
        line = await read_line()
        if line == "":
            return
        message = json.loads(line)
        candidate = candidate_from_sdp(message["candidate"].split(":", 1)[1])
        candidate.sdpMid = message["mid"]
        await pc.addIceCandidate(candidate)


def echo(channel):
    @channel.on("message")
    def on_message(message):
        channel.send(message)


async def answer():
    pc = RTCPeerConnection()
    closed = asyncio.Event()

    @pc.on("datachannel")
    def on_datachannel(channel):
        echo(channel)
        channel.on("close", lambda: closed.set())

    offer = json.loads(await read_line())
    await pc.setRemoteDescription(RTCSessionDescription(sdp=offer["sdp"], type="offer"))
    await pc.setLocalDescription(await pc.createAnswer())
    say({"type": "answer", "sdp": pc.localDescription.sdp})
    candidates = asyncio.ensure_future(take_candidates(pc))
    await closed.wait()
    candidates.cancel()
    await pc.close()
    say("closed")


async def offer():
    pc = RTCPeerConnection()
    channel = pc.createDataChannel("from aiortc", protocol="echo")
    received = []
    done = asyncio.Event()

    @channel.on("open")
    def on_open():
        for size in SIZES:
            channel.send(bytes([size % 251]) * size)

    @channel.on("message")
    def on_message(message):
        received.append(message)
        if len(received) == len(SIZES):
            done.set()

    await pc.setLocalDescription(await pc.createOffer())
    say({"type": "offer", "sdp": pc.localDescription.sdp})
    reply = json.loads(await read_line())
    await pc.setRemoteDescription(RTCSessionDescription(sdp=reply["sdp"], type="answer"))
    candidates = asyncio.ensure_future(take_candidates(pc))
    await done.wait()
    assert received == [bytes([size % 251]) * size for size in SIZES]
    say("ok")
    channel.close()
    await asyncio.sleep(0.2)
    candidates.cancel()
    await pc.close()


asyncio.run(answer() if sys.argv[1] == "answer" else offer())
# The thread that waits for a line would keep the process.
sys.stdout.flush()
import os

os._exit(0)
