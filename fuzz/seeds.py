#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: the texts in the tables of the tests, and calls of every method.

Usage: seeds.py FOLDER    writes FOLDER/TARGET/*, and FOLDER/dictionary
"""

import ast
import base64
import hashlib
import re
import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = ["tests/it/hostile.rs", "tests/it/forge.rs", "crates/tokend-jose/src"]
SOURCES = {
    "header": HOSTILE,
    "json": [*HOSTILE, "src/model"],
    "claims": [*HOSTILE, "tests/it/exchange_foreign.rs"],
    "jwk_set": ["crates/tokend-jose/src", "tests/it/import_refusals.rs", "tests/it/caller_workload_sets.rs"],
    "pem": ["crates/tokend-jose/src/import", "tests/it/import_refusals.rs"],
    "credentials": ["tests/it/caller_metadata.rs", "tests/it/callers.rs", "src/access/authenticate"],
    "redaction": ["src/audit/text.rs", "src/model/credential.rs", "tests/it/redaction.rs"],
    "client_file": ["tests/it/clients_apply.rs", "docs", "deploy", "examples"],
    "settings": ["tests/it/config.rs", "tests/it/config_sealing.rs", "docs", "deploy"],
    "http": ["tests/it/serving.rs", "tests/it/logs.rs"],
}
LITERAL = re.compile(r'r(#+)"(.*?)"\1|"((?:[^"\\]|\\.)*)"', re.DOTALL)
BLOCK = re.compile(r"^```(?:toml|json)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def texts(paths: list[str]):
    """The literals of Rust sources, the blocks of pages, and files of data as they are."""
    for path in paths:
        path = ROOT / path
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if not file.is_file():
                continue
            text = file.read_text(errors="replace")
            if file.suffix == ".md":
                yield from BLOCK.findall(text)
            elif file.suffix in (".toml", ".json", ".pem"):
                yield text
            elif file.suffix == ".rs":
                for _, raw, plain in LITERAL.findall(text):
                    yield raw or unescaped(plain)


def unescaped(text: str) -> str:
    # A line that goes on, and `{{` of a format.
    text = re.sub(r"\\\n\s*", "", text)
    text = re.sub(r"\\u\{([0-9a-fA-F]+)\}", lambda found: chr(int(found[1], 16)), text)
    try:
        text = ast.literal_eval(f'"""{text}"""')
    except (SyntaxError, ValueError):
        pass
    return text.replace("{{", "{").replace("}}", "}")


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def tokens():
    """Compact serialisations of each pair of JSON texts in the tables."""
    objects = [text for text in texts(HOSTILE) if text.startswith("{")]
    header = '{"alg":"ES256","kid":"k","typ":"JWT"}'
    payload = '{"iss":"https://tokend.test","sub":"a","aud":"orders","exp":1767226200}'
    for text in [header, *objects]:
        yield f"{b64url(text.encode())}.{b64url(payload.encode())}.{b64url(bytes(64))}"
        yield f"{b64url(header.encode())}.{b64url(text.encode())}.{b64url(bytes(32))}"
    yield from ["", "..", "a.b.c", "a.b.c.d.e", "e30.e30.", "e30=.e30.AAAA"]


def field(number: int, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(value)]) + value


def calls():
    """For each method a message with texts in its first fields, as each client, as message, as call and with one more."""
    message = b"".join(field(number, text) for number, text in enumerate(["alice", "orders", "read"], 1))
    nested = field(1, field(1, "web") + field(2, "Web"))
    for method in range(31):
        for text in [b"", message, nested, field(1, next(tokens()).encode()[:120])]:
            for caller in [0, 4, 8]:
                yield bytes([2 | caller, method]) + text
            framed = struct.pack(">BI", 0, len(text)) + text
            yield bytes([1, method]) + framed
            yield bytes([1, method]) + framed + framed
    yield bytes([0, 0]) + bytes.fromhex("000000040100000000") + bytes.fromhex("000008060000000000") + bytes(8)
    yield bytes([0, 0]) + bytes.fromhex("000004030000000001") + bytes([0, 0, 0, 8])


def requests():
    for path in ["/livez", "/readyz", "/metrics", "/.well-known/jwks.json", "/.well-known/openid-configuration", "/x"]:
        for method in ["GET", "HEAD", "POST", "OPTIONS"]:
            yield f"{method} {path} HTTP/1.1\r\nhost: tokend.test\r\nconnection: close\r\n\r\n"
        yield f'GET {path} HTTP/1.1\r\nhost: x\r\nif-none-match: "a", W/"b"\r\naccept: application/openmetrics-text;version=1.0.0\r\n\r\n'
    yield "POST /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    yield "GET http://x/livez HTTP/1.0\r\n\r\n"


def main() -> None:
    folder = Path(sys.argv[1])
    seeds = {target: set(texts(paths)) for target, paths in SOURCES.items()}
    seeds["compact"] = set(tokens())
    seeds["redaction"] |= set(tokens())
    seeds["grpc"] = set(calls())
    seeds["http"] |= set(requests())
    for target, all_of_it in seeds.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for seed in all_of_it:
            seed = seed if isinstance(seed, bytes) else seed.encode(errors="surrogatepass")
            (folder / target / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    words = {text for paths in SOURCES.values() for text in texts(paths) if 1 < len(text) <= 24 and text.isascii()}
    words = sorted(word for word in words if word.isprintable() and " " not in word)
    lines = ('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"\n' for word in words)
    (folder / "dictionary").write_text("".join(lines))


main()
