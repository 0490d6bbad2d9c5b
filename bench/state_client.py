"""The caller of bench/state: each method, one call after the other on one connection.

HTTP/2 is spoken frame by frame (RFC 9113), with nothing but the standard library, and without TLS.
"""

import socket
import struct
import sys
import time

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
ACCESS_TOKEN, REFRESH_TOKEN = 1, 9


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(path, secret):
    """Literals without indexing (RFC 7541 section 6.2.2)."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
        "authorization": "Bearer " + secret,
    }
    block = b""
    for pair in headers.items():
        block += b"\0"
        for text in pair:
            assert len(text) < 127, "one octet of length"
            block += bytes([len(text)]) + text.encode()
    return block


def varint(number):
    octets = b""
    while number > 127:
        octets, number = octets + bytes([number & 127 | 128]), number >> 7
    return octets + bytes([number])


def message(fields):
    """A message of texts and numbers, by the numbers of its fields."""
    octets = b""
    for number, value in fields:
        if isinstance(value, str):
            octets += varint(number << 3 | 2) + varint(len(value)) + value.encode()
        else:
            octets += varint(number << 3) + varint(value)
    return b"\0" + struct.pack(">I", len(octets)) + octets


def text_of(octets, wanted):
    """The text of a field of a message."""
    place = 0

    def number():
        nonlocal place
        value, shift = 0, 0
        while True:
            octet = octets[place]
            place, value, shift = place + 1, value | (octet & 127) << shift, shift + 7
            if octet < 128:
                return value

    while place < len(octets):
        tag = number()
        length = number()
        if tag & 7 == 2:
            if tag >> 3 == wanted:
                return octets[place : place + length].decode()
            place += length
    raise SystemExit(f"field {wanted} is missing")


class Caller:
    """One connection on which calls are made, one after the other."""

    def __init__(self, address, secret):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.secret, self.blocks, self.stream, self.buffer, self.unread = secret, {}, 1, b"", 0
        self.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))

    def take(self, count):
        while len(self.buffer) < count:
            octets = self.sock.recv(65536)
            if not octets:
                raise SystemExit("the connection was closed")
            self.buffer += octets
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def call(self, method, *fields):
        """Makes a call, and answers the message that comes. A refusal is trailers only."""
        if method not in self.blocks:
            self.blocks[method] = header_block("/tokend.v1." + method, self.secret)
        stream, self.stream, answer = self.stream, self.stream + 2, b""
        head = frame(HEADERS, END_HEADERS, stream, self.blocks[method])
        self.sock.sendall(head + frame(DATA, END_STREAM, stream, message(fields)))
        while True:
            head = self.take(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            of, payload = int.from_bytes(head[5:], "big"), self.take(length)
            if kind == SETTINGS and not flags & ACK:
                self.sock.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.sock.sendall(frame(PING, ACK, 0, payload))
            elif kind in (GOAWAY, RST_STREAM):
                raise SystemExit(f"frame {kind}")
            elif of == stream:
                if kind == DATA and length:
                    answer += payload
                    # Room for the next ones.
                    room = struct.pack(">I", length)
                    self.sock.sendall(frame(WINDOW_UPDATE, 0, 0, room) + frame(WINDOW_UPDATE, 0, stream, room))
                if flags & END_STREAM:
                    if len(answer) < 5:
                        raise SystemExit(f"{method} was refused: the figures would say nothing")
                    return answer[5:]


def measured(name, calls, call):
    times = []
    for number in range(calls + calls // 10):
        start = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - start)
    # The first of them warm up.
    times = sorted(times[calls // 10 :])
    at = [1000 * times[min(calls - 1, int(calls * share))] for share in (0.5, 0.99)]
    print(f"  {name:42}{at[0]:9.2f}{at[1]:9.2f}", flush=True)


def main():
    address, secret, calls, what = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    caller = Caller(address, secret)
    issue = ((2, "orders"), (3, "read"))
    begun = caller.call("TokenService/IssueToken", *issue, (8, 1))
    token = text_of(begun, ACCESS_TOKEN)
    refresh = [text_of(begun, REFRESH_TOKEN)]
    writes = max(1, calls // 2)

    def refreshed(_):
        answer = caller.call("TokenService/RefreshToken", (1, refresh[0]))
        refresh[0] = text_of(answer, REFRESH_TOKEN)

    revocable = [
        text_of(caller.call("TokenService/IssueToken", *issue), ACCESS_TOKEN) for _ in range(writes + writes // 10)
    ]
    print(f"  {what + ', ms':42}{'p50':>9}{'p99':>9}")
    measured("IssueToken", calls, lambda _: caller.call("TokenService/IssueToken", *issue))
    measured("VerifyToken", calls, lambda _: caller.call("TokenService/VerifyToken", (1, token), (2, "orders")))
    measured("IntrospectToken", calls, lambda _: caller.call("TokenService/IntrospectToken", (1, token), (2, "orders")))
    measured("IssueToken with a refresh token", writes, lambda _: caller.call("TokenService/IssueToken", *issue, (8, 1)))
    measured("RefreshToken", writes, refreshed)
    measured("RevokeToken", writes, lambda number: caller.call("TokenService/RevokeToken", (1, revocable[number])))
    sessions = "SessionService/ListSessions"
    measured("ListSessions of a subject", writes, lambda number: caller.call(sessions, (1, f"user-{number}"), (3, 100)))
    measured("ListSessions of a client, 100 of a page", writes, lambda n: caller.call(sessions, (2, f"client-{n % 100}"), (3, 100)))
    measured("ListSessions, 100 of a page", writes, lambda _: caller.call(sessions, (3, 100)))


main()
