"""The clients of bench/floods: the floods, each in its own process, and the caller that is measured during a flood.

They write HTTP/2 frames (RFC 9113) with the standard library. They use only loopback addresses, and limit every count and time.
"""

import os
import socket
import ssl
import struct
import subprocess
import sys
import time

IDLE = 5000
HALF_OPEN = 1000
# Seconds of the flood of resets, and seconds to wait for the end of half-open handshakes: handshake_timeout is 10 s.
RESETTING = 10
PATIENCE = 15

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
METHOD = "/tokend.v1.TokenService/VerifyToken"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(secret):
    """Literals without indexing (RFC 7541 section 6.2.2)."""
    headers = {
        ":method": "POST",
        ":scheme": "https",
        ":path": METHOD,
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


def text_field(number, text):
    encoded, length, size = text.encode(), len(text), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + encoded


def message(token):
    fields = text_field(1, token) + text_field(2, "orders")
    return b"\0" + struct.pack(">I", len(fields)) + fields


def dial(address, source):
    """Opens a TCP connection from the given loopback address."""
    assert source.startswith("127."), source
    sock = socket.socket()
    sock.settimeout(30)
    sock.bind((source, 0))
    sock.connect(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def tls(address, source, context):
    return context.wrap_socket(dial(address, source), server_hostname="localhost")


def trust(authority):
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2"])
    return context


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)


class Caller:
    """Makes sequential calls on one connection."""

    def __init__(self, address, context, block, body):
        self.sock = tls(address, "127.0.0.1", context)
        self.block, self.body, self.stream, self.buffer = block, body, 1, b""
        # Flow control window for all responses.
        self.sock.sendall(PREFACE + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))

    def take(self, count):
        while len(self.buffer) < count:
            received = self.sock.recv(65536)
            if not received:
                raise ConnectionError("closed")
            self.buffer += received
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def call(self):
        """Makes a call. A response with a message is OK: an error has only trailers."""
        stream, self.stream, answered = self.stream, self.stream + 2, False
        self.sock.sendall(frame(HEADERS, END_HEADERS, stream, self.block) + frame(DATA, END_STREAM, stream, self.body))
        while True:
            head = self.take(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            of, payload = int.from_bytes(head[5:], "big"), self.take(length)
            if kind == SETTINGS and not flags & ACK:
                self.sock.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.sock.sendall(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY or kind == RST_STREAM:
                raise ConnectionError(f"frame {kind}")
            elif of == stream:
                answered = answered or kind == DATA and length > 5
                if flags & END_STREAM:
                    if not answered:
                        raise SystemExit("a call failed, so the figures would be meaningless")
                    return


def percentiles(times):
    times = sorted(times)
    at = [times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99)] if times else []
    return "".join(f"{1000 * t:9.2f}" for t in at) or "        -        -"


class Measure:
    def __init__(self, pid, address, context, block, body):
        self.pid, self.open = pid, lambda: Caller(address, context, block, body)
        self.caller = self.open()
        for _ in range(200):
            self.caller.call()

    def row(self, what):
        """Measures calls on an open connection and on new ones; then the memory and the open files of the server."""
        calls, fresh, closed = [], [], 0
        for _ in range(1000):
            start = time.perf_counter()
            self.caller.call()
            calls.append(time.perf_counter() - start)
        for _ in range(100):
            start = time.perf_counter()
            try:
                once = self.open()
                once.call()
                once.sock.close()
                fresh.append(time.perf_counter() - start)
            except (ConnectionError, ssl.SSLError):
                closed += 1
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        files = len(os.listdir(f"/proc/{self.pid}/fd"))
        print(f"{what:32}{percentiles(calls)}{percentiles(fresh)}{closed:8}{memory / 1024:8.0f}{files:7}", flush=True)


def measured(pid, address, authority, secret, token, sources):
    measure = Measure(pid, address, trust(authority), header_block(secret), message(token))
    print(f"{'':32}{'open connection':>18}{'new connection':>18}{'new':>8}{'memory':>8}{'open':>7}")
    print(f"{'':32}{'p50':>9}{'p99':>9}{'p50':>9}{'p99':>9}{'closed':>8}{'MB':>8}{'files':>7}")
    measure.row("before")
    for name in ("idle", "half-open", "resets", "messages"):
        flood = subprocess.Popen(
            [sys.executable, __file__, name, "%s:%d" % address, authority, secret, sources],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = flood.stdout.readline().strip()
        measure.row(f"during: {name}")
        flood.stdin.close()
        end = flood.stdout.readline().strip()
        if flood.wait(60) != 0:
            raise SystemExit(f"{name}: the flood failed")
        print(f"  {ready}; {end}")
        measure.row(f"after: {name}")


def still_open(connections):
    count = 0
    for sock in connections:
        sock.settimeout(0)
        try:
            # Discards what the server has sent. End of file means closed.
            while sock.recv(65536):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            count += 1
        except OSError:
            pass
    return count


def idle(address, authority, _, sources):
    """Opens connections, sends the HTTP/2 preface, and makes no call."""
    context, held, closed = trust(authority), [], 0
    start = time.monotonic()
    for number in range(IDLE):
        try:
            sock = tls(address, f"127.0.0.{2 + number % sources}", context)
            sock.sendall(PREFACE)
            held.append(sock)
        except (OSError, ssl.SSLError):
            closed += 1
    print(f"{len(held)} open, {closed} closed at once, in {time.monotonic() - start:.0f} s", flush=True)
    sys.stdin.read()
    print(f"{still_open(held)} open at the end")


def half_open(address, *_):
    """Starts TLS handshakes with the five bytes of a record header, and sends nothing more."""
    held = []
    for _ in range(HALF_OPEN):
        try:
            sock = dial(address, "127.0.0.200")
            sock.sendall(b"\x16\x03\x01\x02\0")
            held.append(sock)
        except OSError:
            pass
    print(f"{still_open(held)} of {HALF_OPEN} open", flush=True)
    sys.stdin.read()
    start, left = time.monotonic(), still_open(held)
    while left and time.monotonic() - start < PATIENCE:
        time.sleep(0.5)
        left = still_open(held)
    print(f"{left} open after {time.monotonic() - start:.0f} s more")


def resets(address, authority, secret, _):
    """Resets calls as soon as they are made (CVE-2023-44487); opens a new connection whenever the server closes one."""
    context, block, sent, ended = trust(authority), header_block(secret), 0, 0
    print(f"for {RESETTING} s", flush=True)
    end = time.monotonic() + RESETTING
    while time.monotonic() < end:
        try:
            sock = tls(address, "127.0.0.201", context)
            sock.sendall(PREFACE)
            stream = 1
            while time.monotonic() < end:
                burst = b""
                for stream in range(stream, stream + 40, 2):
                    burst += frame(HEADERS, END_HEADERS, stream, block) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")
                stream += 2
                sock.sendall(burst)
                sent += 20
        except (OSError, ssl.SSLError):
            ended += 1
    sys.stdin.read()
    print(f"{sent} calls sent and reset, {ended} connections closed by the server")


def begin_messages(sock, block, end):
    """Begins messages of 1 MiB on as many streams as allowed, sends as much of each as the server accepts, and completes none.
    Yields the number of bytes sent."""
    sock.sendall(PREFACE)
    chunk, credit, buffer = b"\x80" * 16384, 65535, b""
    for stream in range(1, 500, 2):
        sock.sendall(frame(HEADERS, END_HEADERS, stream, block))
    for turn in range(15):
        for stream in range(1, 500, 2):
            # Obeys the flow control window of the connection (RFC 9113 section 5.2), which the server extends as it reads.
            while credit < len(chunk):
                buffer += sock.recv(65536) or reset()
                while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
                    length, kind, of = int.from_bytes(buffer[:3], "big"), buffer[3], int.from_bytes(buffer[5:9], "big")
                    if kind == WINDOW_UPDATE and of == 0:
                        credit += int.from_bytes(buffer[9:13], "big")
                    buffer = buffer[9 + length :]
            body = b"\0\0\x10\0\0" + chunk[5:] if turn == 0 else chunk
            sock.sendall(frame(DATA, 0, stream, body))
            credit -= len(body)
            yield len(body)
        if time.monotonic() > end:
            break


def reset():
    raise ConnectionError("closed")


def messages(address, authority, secret, _):
    """Sends messages that never end, with a credential that is never verified, on 40 connections of one address."""
    context, block, begun, ended, held = trust(authority), header_block("x"), 0, 0, []
    end = time.monotonic() + RESETTING
    for number in range(40):
        try:
            sock = tls(address, "127.0.0.202", context)
            held.append(sock)
            sock.settimeout(2)
            for sent in begin_messages(sock, block, end):
                begun += sent
        except (OSError, ssl.SSLError):
            ended += 1
        if number == 3:
            print("without end", flush=True)
    sys.stdin.read()
    print(f"{begun / 1e6:.0f} MB of messages begun on {len(held)} connections, {ended} of which were closed or stalled")


def main():
    command, address, authority, secret, *rest = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    assert host.startswith("127."), "loopback only"
    if command == "measure":
        token, pid, sources = rest
        measured(int(pid), (host, int(port)), authority, secret, token, sources)
    else:
        floods = {"idle": idle, "half-open": half_open, "resets": resets, "messages": messages}
        floods[command]((host, int(port)), authority, secret, int(rest[0]))


main()
