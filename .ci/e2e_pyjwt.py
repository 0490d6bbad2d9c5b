"""Verifies tokend's tokens with PyJWT.

    e2e_pyjwt.py jwks ISSUER AUDIENCE TOKEN               verifies a token with the keys that ISSUER publishes
    e2e_pyjwt.py shared SECRET_FILE ISSUER AUDIENCE TOKEN verifies an HS256 token with the shared secret
    e2e_pyjwt.py make SECRET_FILE KEY_ID ISSUER AUDIENCE  prints an HS256 token in the form of tokend's tokens

Each check must also fail with a wrong value.
"""

import base64
import json
import sys
import time
import urllib.request
import uuid

import jwt

REQUIRED = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]
# Longer than the lifetime of the tokens, to check their expiry.
LIFETIME = 86_400


def secret(path):
    with open(path, encoding="ascii") as file:
        text = file.read().strip()
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def refused(expected, token, key, **given):
    try:
        jwt.decode(token, key, **given)
    except expected:
        return
    sys.exit(f"PyJWT should have refused it: {expected.__name__}")


def check(token, key, algorithm, issuer, audience):
    given = {"algorithms": [algorithm], "issuer": issuer, "audience": audience, "options": {"require": REQUIRED}}
    claims = jwt.decode(token, key, **given)
    assert claims["sub"] == "alice", claims
    assert claims["scope"] == "read", claims
    refused(jwt.InvalidIssuerError, token, key, **{**given, "issuer": issuer + "x"})
    refused(jwt.InvalidAudienceError, token, key, **{**given, "audience": audience + "x"})
    later = {"leeway": -LIFETIME, "options": {"require": REQUIRED, "verify_iat": False, "verify_nbf": False}}
    refused(jwt.ExpiredSignatureError, token, key, **{**given, **later})
    head, payload, signature = token.split(".")
    other = "A" if signature[10] != "A" else "B"
    broken = f"{head}.{payload}.{signature[:10]}{other}{signature[11:]}"
    refused(jwt.InvalidSignatureError, broken, key, **given)
    print(f"PyJWT {jwt.__version__} verified an {algorithm} token: {json.dumps(claims)}")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def jwks(issuer, audience, token):
    discovered = get(f"{issuer}/.well-known/openid-configuration")
    assert discovered["issuer"] == issuer, discovered
    keys = get(discovered["jwks_uri"])["keys"]
    assert keys and all(key["kty"] != "oct" for key in keys), "a shared secret is in the JWK set"
    key = jwt.PyJWKClient(discovered["jwks_uri"]).get_signing_key_from_jwt(token)
    check(token, key, "ES256", issuer, audience)


def shared(path, issuer, audience, token):
    check(token, secret(path), "HS256", issuer, audience)


def make(path, key_id, issuer, audience):
    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": "bob",
        "aud": audience,
        "exp": now + 600,
        "nbf": now,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "client_id": "pyjwt",
        "scope": "read",
    }
    print(jwt.encode(claims, secret(path), "HS256", headers={"kid": key_id}))


if __name__ == "__main__":
    {"jwks": jwks, "shared": shared, "make": make}[sys.argv[1]](*sys.argv[2:])
