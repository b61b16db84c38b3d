"""The library `websockets` as a server that echoes, or as a client that checks an echo.

    websockets-peer.py serve <deflate|plain>          prints its port
    websockets-peer.py ask <url> <deflate|plain>      prints "ok" and what was agreed on
"""

import asyncio
import sys

import websockets

SIZES = [0, 1, 125, 126, 5000, 65535, 65536, 300000]


def filled(length):
    return (b"heddle and websockets, " * (length // 23 + 1))[:length]


async def echo(connection, *_):
    async for message in connection:
        await connection.send(message)


async def serve(compression):
    server = await websockets.serve(
        echo, "127.0.0.1", 0, compression=compression, subprotocols=["echo"], max_size=None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


async def ask(url, compression):
    async with websockets.connect(
        url, compression=compression, subprotocols=["x", "echo"], max_size=None
    ) as connection:
        for size in SIZES:
            await connection.send(filled(size))
            assert await connection.recv() == filled(size), size
        await connection.send("h\u00e9llo \u20ac \U0001f600")
        assert await connection.recv() == "h\u00e9llo \u20ac \U0001f600"
        # An iterable goes out in fragments; a code point stands over two of them.
        await connection.send(iter([b"ab", b"", b"cd"]))
        assert await connection.recv() == b"abcd"
        await asyncio.wait_for(await connection.ping(), 10)
        agreed = connection.subprotocol, [type(one).__name__ for one in connection.extensions]
        await connection.close(4001, "bye")
    assert connection.close_code == 4001, connection.close_code
    print("ok", *agreed, flush=True)


compression = "deflate" if sys.argv[-1] == "deflate" else None
asyncio.run(serve(compression) if sys.argv[1] == "serve" else ask(sys.argv[2], compression))
