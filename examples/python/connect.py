"""Calls tokend."""

import json
import os
from pathlib import Path

import grpc
from tokend.v1 import token_service_pb2_grpc

# Both methods may be repeated: they change nothing.
RETRIES = {
    "name": [{"service": "tokend.v1.TokenService", "method": method} for method in ("IssueToken", "VerifyToken")],
    "retryPolicy": dict(
        maxAttempts=4, initialBackoff="0.1s", maxBackoff="1s", backoffMultiplier=2, retryableStatusCodes=["UNAVAILABLE"]
    ),
}


def connect() -> token_service_pb2_grpc.TokenServiceStub:
    """Returns a client of tokend that authenticates with the secret in TOKEND_CLIENT_SECRET_FILE. Use one for the whole process."""
    secret = Path(os.environ["TOKEND_CLIENT_SECRET_FILE"]).read_text().strip()
    # Plaintext on this machine is for `tokend dev`. In production: grpc.ssl_channel_credentials(Path("ca.crt").read_bytes()).
    channel = grpc.local_channel_credentials()
    credentials = grpc.composite_channel_credentials(channel, grpc.access_token_call_credentials(secret))
    options = [("grpc.service_config", json.dumps({"methodConfig": [RETRIES]}))]
    return token_service_pb2_grpc.TokenServiceStub(grpc.secure_channel(os.environ["TOKEND_GRPC"], credentials, options))
