"""The client of tokend: logs users in, and verifies tokens with tokend's public keys."""

import math
import os
from dataclasses import dataclass

import grpc
import jwt
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tokend.v1 import token_service_pb2, token_service_pb2_grpc

# The audience of this service. Tokens for other audiences are rejected.
AUDIENCE = "orders"
ALGORITHMS = ["ES256"]


class LoginFailed(Exception):
    """The username or the password is wrong."""


@dataclass
class TooManyLogins(Exception):
    """Too many logins failed or wait."""

    retry_after: int


class TokendUnavailable(Exception):
    """tokend does not respond, or rejects the application. The user did not cause it."""


class Logins:
    """Logs users in, with one connection for all requests."""

    def __init__(self) -> None:
        address = os.environ.get("TOKEND_GRPC", "127.0.0.1:50051")
        # With the certificates of an authority: TLS. Otherwise plaintext, for `tokend dev` or behind a mesh.
        if authority := os.environ.get("TOKEND_CA_FILE"):
            with open(authority, "rb") as file:
                credentials = grpc.ssl_channel_credentials(file.read())
            self._channel = grpc.aio.secure_channel(address, credentials)
        else:
            self._channel = grpc.aio.insecure_channel(address)
        self._stub = token_service_pb2_grpc.TokenServiceStub(self._channel)
        secret = os.environ["TOKEND_CLIENT_SECRET"]
        self._metadata = (("authorization", f"Bearer {secret}"),)

    async def token(self, username: str, password: str, scopes: list[str]) -> str:
        request = token_service_pb2.LoginRequest(
            username=username, password=password, audiences=[AUDIENCE], scopes=scopes
        )
        try:
            answer = await self._stub.Login(request, metadata=self._metadata, timeout=5)
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None
        return answer.access_token

    async def close(self) -> None:
        await self._channel.close()


def refusal(error: grpc.aio.AioRpcError) -> Exception:
    """Maps a failed call by its reason: the code does not tell whether the user's or the application's credential is wrong."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        detail.Unpack(info)
        detail.Unpack(retry)
    match info.reason:
        case "LOGIN_FAILED" | "FIELD_INVALID" | "SCOPE_NOT_ALLOWED" | "SUBJECT_NOT_ALLOWED":
            return LoginFailed()
        case "RATE_LIMITED":
            return TooManyLogins(retry_after=max(1, math.ceil(retry.retry_delay.ToMilliseconds() / 1000)))
    return TokendUnavailable(f"{error.code().name} {info.reason}")


class Tokens:
    """Verifies tokens with tokend's public keys, which PyJWT fetches and caches."""

    def __init__(self) -> None:
        self._issuer = os.environ["TOKEND_ISSUER"]
        self._keys = jwt.PyJWKClient(f"{self._issuer}/.well-known/jwks.json", timeout=5)

    def claims(self, token: str) -> dict:
        try:
            key = self._keys.get_signing_key_from_jwt(token)
        except jwt.PyJWKClientConnectionError as error:
            raise TokendUnavailable("the JWK set cannot be fetched") from error
        return jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=AUDIENCE,
            issuer=self._issuer,
            options={"require": ["exp", "iat", "iss", "sub", "aud"]},
        )
