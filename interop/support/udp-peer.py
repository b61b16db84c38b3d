"""A plain UDP socket for udp.interop.ts: says what it hears, answers, joins groups.

    udp-peer.py echo <host>                   echoes; prints "port <n>", then "heard <length> <sha256>"
    udp-peer.py send <host> <port> <length>   sends one datagram of that length, prints the answer's
    udp-peer.py ttl                           on loopback, prints what it hears and its TTL
    udp-peer.py group <group> <interface>     joins on that interface, prints what it hears
    udp-peer.py publish <group> <port> <interface> <ttl>   sends to a group
    udp-peer.py broadcast <address> <port>    sends to a broadcast address
"""

import hashlib
import socket
import struct
import sys

IP_RECVTTL = 12  # of Linux; the module has no name for it


def say(*words):
    print(*words, flush=True)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def make(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(20)
    return sock


def pattern(length):
    return bytes(index * 31 % 251 for index in range(length))


command, *rest = sys.argv[1:]
if command == "echo":
    sock = make(rest[0])
    sock.bind((rest[0], 0))
    say("port", sock.getsockname()[1])
    while True:
        data, peer = sock.recvfrom(65536)
        say("heard", len(data), digest(data))
        sock.sendto(data, peer)
elif command == "send":
    host, port, length = rest[0], int(rest[1]), int(rest[2])
    sock = make(host)
    sock.sendto(pattern(length), (host, port))
    data, peer = sock.recvfrom(65536)
    say("answer", len(data), digest(data), peer[1])
elif command in ("group", "ttl"):
    sock = make("0.0.0.0")
    sock.bind(("127.0.0.1" if command == "ttl" else "0.0.0.0", 0))
    if command == "group":
        membership = socket.inet_aton(rest[0]) + socket.inet_aton(rest[1])
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    say("port", sock.getsockname()[1])
    data, ancillary, _, _ = sock.recvmsg(65536, 256)
    ttl = [struct.unpack("i", value)[0] for _, kind, value in ancillary if kind == socket.IP_TTL]
    say("heard", data.decode(), "ttl", ttl[0])
elif command == "publish":
    group, port, interface, ttl = rest[0], int(rest[1]), rest[2], int(rest[3])
    sock = make("0.0.0.0")
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    sock.sendto(b"from python", (group, port))
elif command == "broadcast":
    sock = make("0.0.0.0")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(b"to everybody", (rest[0], int(rest[1])))
