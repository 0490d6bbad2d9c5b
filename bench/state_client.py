"""The client of bench/state: sequential calls of each method on one connection.

It writes HTTP/2 frames (RFC 9113) with the standard library, without TLS.
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
            assert len(text) < 127, "the length must fit one byte"
            block += bytes([len(text)]) + text.encode()
    return block


def varint(number):
    encoded = b""
    while number > 127:
        encoded, number = encoded + bytes([number & 127 | 128]), number >> 7
    return encoded + bytes([number])


def message(fields):
    """Returns a gRPC message with these fields: pairs of a field number and a text or number."""
    encoded = b""
    for number, value in fields:
        if isinstance(value, str):
            encoded += varint(number << 3 | 2) + varint(len(value)) + value.encode()
        else:
            encoded += varint(number << 3) + varint(value)
    return b"\0" + struct.pack(">I", len(encoded)) + encoded


def text_of(encoded, wanted):
    """Returns the text of a field of a message."""
    position = 0

    def number():
        nonlocal position
        value, shift = 0, 0
        while True:
            byte = encoded[position]
            position, value, shift = position + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while position < len(encoded):
        tag = number()
        length = number()
        if tag & 7 == 2:
            if tag >> 3 == wanted:
                return encoded[position : position + length].decode()
            position += length
    raise SystemExit(f"field {wanted} is missing")


class Caller:
    """Makes sequential calls on one connection."""

    def __init__(self, address, secret):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.secret, self.blocks, self.stream, self.buffer, self.unread = secret, {}, 1, b"", 0
        self.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))

    def take(self, count):
        while len(self.buffer) < count:
            received = self.sock.recv(65536)
            if not received:
                raise SystemExit("the connection was closed")
            self.buffer += received
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def call(self, method, *fields):
        """Makes a call and returns the message of the response. An error has only trailers."""
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
                    # Extends the flow control windows.
                    room = struct.pack(">I", length)
                    self.sock.sendall(frame(WINDOW_UPDATE, 0, 0, room) + frame(WINDOW_UPDATE, 0, stream, room))
                if flags & END_STREAM:
                    if len(answer) < 5:
                        raise SystemExit(f"{method} failed, so the figures would be meaningless")
                    return answer[5:]


def measured(name, calls, call):
    times = []
    for number in range(calls + calls // 10):
        start = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - start)
    # The first calls are a warm-up.
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
    measured("ListSessions of a client, a page of 100", writes, lambda n: caller.call(sessions, (2, f"client-{n % 100}"), (3, 100)))
    measured("ListSessions, a page of 100", writes, lambda _: caller.call(sessions, (3, 100)))


main()
