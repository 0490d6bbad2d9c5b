"""Verifies access tokens: offline with PyJWT, or online with VerifyToken."""

import threading

import grpc
import jwt
from cachetools import TLRUCache
from require_token import Caller, InvalidToken, Unavailable
from tokend.v1 import token_service_pb2


def offline(issuer: str, audience: str):
    """Verifies with the JWK set of the issuer. It does not know which tokens are revoked."""
    keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", lifespan=300, timeout=5, cooldown_duration=5)
    options = {"require": ["exp", "iat", "iss", "sub", "aud"]}

    def verify(token: str) -> Caller:
        try:
            key = keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(token, key, algorithms=["ES256"], audience=audience, issuer=issuer, options=options)
        except jwt.PyJWKClientConnectionError as error:
            raise Unavailable from error
        except jwt.PyJWTError as error:
            raise InvalidToken from error
        return Caller(claims["sub"], frozenset(claims.get("scope", "").split()))

    return verify


def online(tokend, audience: str):
    """Verifies with VerifyToken. It rejects a revoked token at once, or after cache_ttl if it has accepted it before."""
    cache = TLRUCache(maxsize=10_000, ttu=lambda _, response, now: now + response.cache_ttl.ToTimedelta().total_seconds())
    lock = threading.Lock()

    def verify(token: str) -> Caller:
        with lock:
            response = cache.get(token)
        if response is None:
            request = token_service_pb2.VerifyTokenRequest(token=token, audiences=[audience])
            request.read_mask.paths[:] = ["token_claims", "cache_ttl"]
            try:
                response = tokend.VerifyToken(request, timeout=5)
            except grpc.RpcError as error:
                raise (InvalidToken if error.code() == grpc.StatusCode.INVALID_ARGUMENT else Unavailable) from error
            with lock:
                cache[token] = response
        return Caller(response.token_claims.subject, frozenset(response.token_claims.scopes))

    return verify
