"""The echo service with Python grpcio, as server and as client, without generated code.

Messages are read and written by hand: requests and replies of Echo have the same three fields.

server: prints its port, serves until its input ends.
client PORT: calls our server, prints one line for each thing that went as it should.
"""

import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "heddle.echo.v1.Echo"
OPTIONS = [("grpc.max_receive_message_length", 4 * 1024 * 1024)]


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(fields):
    """[(number, int or bytes), ...]; zeros and empty values are left out."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            if value != 0:
                out += varint(number << 3) + varint(value & (1 << 64) - 1)
        elif len(value) > 0:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def decode(data):
    fields, at = {}, 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = read()
        if tag & 7 == 0:
            fields[tag >> 3] = read()
        else:
            length = read()
            fields[tag >> 3] = data[at : at + length]
            at += length
    return fields


def echoed(message):
    fields = decode(message)
    return encode([(1, fields.get(1, b"")), (2, fields.get(2, b"")), (3, fields.get(3, 0))])


def metadata_of(context):
    sent = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-echo")]
    if sent:
        context.send_initial_metadata(sent)
        first = [value for key, value in sent if key == "x-echo"]
        if first:
            context.set_trailing_metadata([("x-echo-trailer", first[0])])


def say(message, context):
    metadata_of(context)
    wait(context, decode(message).get(4, 0))
    return echoed(message)


def wait(context, delay_ms):
    until = time.monotonic() + delay_ms / 1000
    while time.monotonic() < until and context.is_active():
        time.sleep(0.01)


def expand(message, context):
    fields = decode(message)
    count, length = fields.get(2, 0), fields.get(3, 0)
    after, code, delay_ms = fields.get(4, 0), fields.get(5, 0), fields.get(6, 0)
    for number in range(count):
        if code != 0 and number == after:
            context.abort(status(code), "asked")
        wait(context, delay_ms)
        yield encode([(1, fields.get(1, b"")), (2, bytes([number % 256]) * length), (3, number)])


def collect(messages, context):
    count = length = 0
    texts = []
    for message in messages:
        fields = decode(message)
        count += 1
        length += len(fields.get(2, b""))
        if len(texts) < 10:
            texts.append(fields.get(1, b""))
    head = encode([(1, count), (2, length)])
    return head + b"".join(varint(3 << 3 | 2) + varint(len(text)) + text for text in texts)


def chat(messages, context):
    for message in messages:
        yield echoed(message)


def status(code):
    return next(one for one in grpc.StatusCode if one.value[0] == code)


def fail(message, context):
    fields = decode(message)
    code, text = fields.get(1, 0), fields.get(2, b"")
    trailing = [("x-reason", "asked"), ("x-reason-bin", b"\x00\x01\xff")]
    if fields.get(3, 0):
        info = encode([(1, b"ASKED"), (2, b"echo.test")])
        detail = encode([(1, b"type.googleapis.com/google.rpc.ErrorInfo"), (2, info)])
        details = encode([(1, code), (2, text), (3, detail)])
        trailing.append(("grpc-status-details-bin", details))
    context.set_trailing_metadata(trailing)
    context.abort(status(code), text.decode())


def serve():
    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(say),
        "Look": grpc.unary_unary_rpc_method_handler(say),
        "Expand": grpc.unary_stream_rpc_method_handler(expand),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    server = grpc.server(
        futures.ThreadPoolExecutor(16), options=OPTIONS, compression=grpc.Compression.Gzip
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


def ask(port):
    options = OPTIONS + [
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        method = lambda name: f"/{SERVICE}/{name}"
        unary = channel.unary_unary(method("Say"))
        for length in (0, 1, 16_384, 1_000_000, 3_900_000):
            reply = decode(unary(encode([(1, "grüße".encode()), (2, b"x" * length), (3, 7)])))
            assert len(reply.get(2, b"")) == length and reply[3] == 7, length
        for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            reply = decode(unary(encode([(2, b"a" * 100_000)]), compression=compression))
            assert reply[2] == b"a" * 100_000
        print("unary", flush=True)

        sent = (("x-echo", "one"), ("x-echo", "two"), ("x-echo-bin", b"\x00\x7f\xff"))
        _, call = unary.with_call(b"", metadata=sent)
        headers = [tuple(one) for one in call.initial_metadata()]
        assert ("x-echo-bin", b"\x00\x7f\xff") in headers, headers
        assert ("x-echo", "one") in headers or ("x-echo", "one, two") in headers, headers
        assert ("x-echo-trailer", "one") in [tuple(one) for one in call.trailing_metadata()]
        print("metadata", flush=True)

        request = encode([(2, 300), (3, 5_000)])
        numbers = [decode(reply).get(3, 0) for reply in channel.unary_stream(method("Expand"))(request)]
        assert numbers == list(range(300))
        print("server streaming", flush=True)

        requests = (encode([(1, b"t"), (2, b"y" * 5_000)]) for _ in range(300))
        reply = decode(channel.stream_unary(method("Collect"))(requests))
        assert (reply[1], reply[2]) == (300, 1_500_000), reply
        print("client streaming", flush=True)

        ping_pong(channel, method)
        print("bidirectional", flush=True)

        for code in (1, 2, 3, 5, 7, 13, 14, 16):
            error = failure(lambda: channel.unary_unary(method("Fail"))(
                encode([(1, code), (2, "ünit %\n".encode()), (3, 1)])
            ))
            assert error.code() is status(code) and error.details() == "ünit %\n", error
            trailing = dict(tuple(one) for one in error.trailing_metadata())
            assert trailing["x-reason-bin"] == b"\x00\x01\xff"
            details = decode(trailing["grpc-status-details-bin"])
            assert details[1] == code and b"google.rpc" in details[3]
        error = failure(lambda: channel.unary_unary(f"/{SERVICE}/Nope")(b""))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        error = failure(lambda: unary(encode([(2, b"z" * 4_200_000)])))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error
        print("errors", flush=True)

        error = failure(lambda: unary(encode([(4, 10_000)]), timeout=0.2))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        stream = channel.unary_stream(method("Expand"))(encode([(2, 9), (6, 10_000)]))
        threading.Timer(0.1, stream.cancel).start()
        error = failure(lambda: list(stream))
        assert error.code() is grpc.StatusCode.CANCELLED
        print("deadlines and cancellation", flush=True)

        calls = [unary.future(encode([(3, number)])) for number in range(1_000)]
        assert [decode(call.result()).get(3, 0) for call in calls] == list(range(1_000))
        print("1,000 calls", flush=True)


def ping_pong(channel, method):
    answered = threading.Semaphore(1)

    def requests():
        for number in range(50):
            answered.acquire()
            yield encode([(3, number)])

    numbers = []
    for reply in channel.stream_stream(method("Chat"))(requests()):
        numbers.append(decode(reply).get(3, 0))
        answered.release()
    assert numbers == list(range(50)), numbers


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it went well")


if sys.argv[1] == "server":
    serve()
else:
    ask(sys.argv[2])
