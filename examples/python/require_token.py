"""A server interceptor that rejects each call without a valid token that has the scope of the method."""

import logging
from contextvars import ContextVar
from dataclasses import dataclass

import grpc

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    subject: str
    scopes: frozenset[str]


class InvalidToken(Exception):
    """The token must be rejected."""


class Unavailable(Exception):
    """There is no decision about the token: tokend is not available, or rejects the credential of this service."""


caller: ContextVar[Caller] = ContextVar("caller")  # of the method that runs


class RequireToken(grpc.ServerInterceptor):
    """Protects unary methods. A method without a scope in `scopes` is rejected."""

    def __init__(self, verify, scopes: dict[str, str]):
        self._verify, self._scopes = verify, scopes

    def intercept_service(self, continuation, details):
        handler = continuation(details)
        if handler is None:
            return None

        def protected(request, context):
            caller.set(self._authorize(details, context))
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(protected, handler.request_deserializer, handler.response_serializer)

    def _authorize(self, details, context) -> Caller:
        values = [value for key, value in details.invocation_metadata if key == "authorization"]
        scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "one bearer token is required")
        try:
            found = self._verify(token)
        except InvalidToken:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid token")
        except Unavailable as error:
            log.error("cannot verify a token: %s", error.__cause__)
            context.abort(grpc.StatusCode.UNAVAILABLE, "cannot verify the token")
        if self._scopes.get(details.method) not in found.scopes:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "the token lacks the scope of the method")
        return found
