"""Checks with PyJWT that the JWK set verifies a token of each supported algorithm, that invalid tokens are rejected, and that
rotations cause no failure.

    verify.py JWKS_URL ISSUER AUDIENCE TOKENS ROTATE...

TOKENS is a file with lines `ALGORITHM TOKEN`; ROTATE is a command that rotates every key and prints such lines.
"""

import subprocess
import sys

import jwt

# The algorithms that must be verified, so that a run without verifications fails.
MINIMUM = "ES256 ES384 EdDSA RS256 RS384 RS512 PS256 PS384 PS512".split()
REQUIRED = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]
# Longer than the lifetime of the tokens, to check their expiry.
LATER = 86_400


class Counting(jwt.PyJWKClient):
    """Counts how often the set is fetched."""

    fetches = 0

    def fetch_data(self):
        self.fetches += 1
        return super().fetch_data()


def refused(expected, token, key, **given):
    try:
        jwt.decode(token, key, **given)
    except expected:
        return
    sys.exit(f"PyJWT did not reject the token: {expected.__name__}")


def check(token, key, algorithm, issuer, audience):
    given = {"algorithms": [algorithm], "issuer": issuer, "audience": audience, "options": {"require": REQUIRED}}
    claims = jwt.decode(token, key, **given)
    assert claims["sub"] == "alice", claims
    refused(jwt.InvalidAudienceError, token, key, **{**given, "audience": audience + "x"})
    refused(jwt.InvalidIssuerError, token, key, **{**given, "issuer": issuer + "x"})
    later = {"leeway": -LATER, "options": {"require": REQUIRED, "verify_iat": False, "verify_nbf": False}}
    refused(jwt.ExpiredSignatureError, token, key, **{**given, **later})
    head, payload, signature = token.split(".")
    other = "A" if signature[10] != "A" else "B"
    broken = f"{head}.{payload}.{signature[:10]}{other}{signature[11:]}"
    refused(jwt.InvalidSignatureError, broken, key, **given)


def main(jwks_url, issuer, audience, path, *rotate):
    # Fetches the set again for each unknown key; the default waits 30 seconds between fetches.
    keys = Counting(jwks_url, cooldown_duration=0)
    known = jwt.algorithms.get_default_algorithms()
    with open(path, encoding="ascii") as file:
        tokens = [line.split() for line in file]

    def rotated():
        lines = subprocess.run(rotate, check=True, capture_output=True, text=True).stdout.splitlines()
        fresh = [line.split() for line in lines]
        kids = {jwt.get_unverified_header(token)["kid"] for _, token in tokens + fresh}
        assert len(kids) == len(tokens) + len(fresh), "not every key was rotated"
        return fresh

    def verify(tokens):
        verified = [algorithm for algorithm, _ in tokens if algorithm in known]
        for algorithm, token in tokens:
            if algorithm in known:
                check(token, keys.get_signing_key_from_jwt(token), algorithm, issuer, audience)
        missing = [algorithm for algorithm in MINIMUM if algorithm not in verified]
        if missing:
            sys.exit(f"PyJWT should have verified {' '.join(missing)}")
        return verified

    verified = verify(tokens)
    unknown = [algorithm for algorithm, _ in tokens if algorithm not in known]
    print(f"PyJWT {jwt.__version__}: verified {' '.join(verified)}; does not know {' '.join(unknown) or 'none other'}")

    tokens += rotated()
    verify(tokens)
    assert keys.fetches == 1, f"{keys.fetches} fetches, although the set had the keys before they signed"
    tokens += rotated()
    verify(tokens)
    assert keys.fetches == 2, f"{keys.fetches} fetches, although one fetch has the new keys"
    print("PyJWT verified tokens from before and after a rotation with the earlier set, and fetched the set once after the next rotation")


if __name__ == "__main__":
    main(*sys.argv[1:])
