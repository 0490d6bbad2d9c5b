"""Shared by the benchmarks: gRPC messages, and a server with its own store."""

import os
import socket
import struct
import subprocess
import sys


def varint(number):
    encoded = b""
    while number > 127:
        encoded, number = encoded + bytes([number & 127 | 128]), number >> 7
    return encoded + bytes([number])


def frame(*fields):
    """Returns a gRPC message, uncompressed and with its length, whose fields are texts or messages."""
    message = b""
    for number, value in fields:
        value = value if isinstance(value, bytes) else value.encode()
        message += bytes([number << 3 | 2]) + varint(len(value)) + value
    return b"\0" + struct.pack(">I", len(message)) + message


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """Runs `tokend serve` with its own SQLite file and one client that may issue and verify tokens for `orders`."""

    def __init__(self, tokend, directory, start):
        """`start` takes a command and its port, and returns the process when it accepts connections."""
        self.tokend, self.directory, self.start, self.port = os.path.abspath(tokend), directory, start, free_port()
        os.mkdir(directory)
        self.store = os.path.join(directory, "tokend.db")
        self.config = os.path.join(directory, "tokend.toml")
        admin = self.run("init", "--issuer", "https://id.example.com", "--store", f"sqlite:{self.store}")
        self.serve()
        create = ["client", "create", "bench", "--method", "TokenService/*", "--audience", "orders", "--verify-audience", "orders",
                  "--scope", "read", "--subject", "*"]  # fmt: skip
        self.secret = self.call(admin, *create)

    def serve(self):
        command = [self.tokend, "serve", "--config", self.config, "--store", f"sqlite:{self.store}", "--grpc-addr",
                   f"127.0.0.1:{self.port}", "--http-addr", "127.0.0.1:0", "--allow-plaintext", "--drain-delay", "0s"]  # fmt: skip
        self.process = self.start(command, self.port)

    def token(self):
        return self.call(self.secret, "token", "issue", "--audience", "orders", "--scope", "read", "--subject", "alice")

    def call(self, secret, *command):
        return self.run(*command, TOKEND_ADDR=f"http://127.0.0.1:{self.port}", TOKEND_CLIENT_SECRET=secret)

    def run(self, *command, **variables):
        made = subprocess.run(
            [self.tokend, *command], cwd=self.directory, env={**os.environ, "XDG_CONFIG_HOME": self.directory, **variables},
            capture_output=True, text=True,
        )  # fmt: skip
        return made.stdout.strip() if made.returncode == 0 else sys.exit(f"{command}: {made.stderr}")
