"""An access token of tokend for each call."""

import threading
import time

import grpc


class AccessToken(grpc.AuthMetadataPlugin):
    """Adds an access token to each call, and replaces it ahead of its expiry."""

    def __init__(self, tokend, request):
        self._tokend, self._request = tokend, request
        self._token, self._renew, self._expire = "", 0.0, 0.0
        self._lock = threading.Lock()  # held during IssueToken, so that concurrent calls share one token

    # grpc calls it on a thread of its own.
    def __call__(self, context, callback):
        try:
            callback((("authorization", f"Bearer {self.get()}"),), None)
        except grpc.RpcError as error:
            callback((), error)

    def get(self) -> str:
        with self._lock:
            now = time.monotonic()
            if now < self._renew:
                return self._token
            try:
                response = self._tokend.IssueToken(self._request, timeout=5)
            except grpc.RpcError:
                if now >= self._expire:
                    raise
                self._renew = now + 1  # The token is still valid. The next attempt is a second from now.
            else:
                lifetime = response.expires_in.ToTimedelta().total_seconds()  # from now, so that the clocks may differ
                self._token, self._renew, self._expire = response.access_token, now + lifetime * 3 / 4, now + lifetime
            return self._token
