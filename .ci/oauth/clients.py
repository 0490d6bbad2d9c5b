"""Authlib and requests-oauthlib: the grants, each way to authenticate, introspection and revocation."""

import os
import sys

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session as RequestsSession

issuer, secret, key_file, refresh_token = sys.argv[1:]
token_url = f"{issuer}/oauth2/token"
metadata = __import__("requests").get(f"{issuer}/.well-known/oauth-authorization-server", timeout=30).json()
assert metadata["token_endpoint"] == token_url, metadata

for method in ("client_secret_basic", "client_secret_post"):
    session = OAuth2Session("shop", secret, scope="read", token_endpoint_auth_method=method)
    token = session.fetch_token(token_url, grant_type="client_credentials", audience="orders")
    assert token["scope"] == "read" and token["token_type"] == "Bearer", token
    found = session.introspect_token(metadata["introspection_endpoint"], token=token["access_token"], body="audience=orders").json()
    assert found["active"] and found["sub"] == "shop" and found["aud"] == "orders", found
    revoked = session.revoke_token(metadata["revocation_endpoint"], token=token["access_token"])
    assert revoked.status_code == 200, revoked.text
    found = session.introspect_token(metadata["introspection_endpoint"], token=token["access_token"], body="audience=orders").json()
    assert found == {"active": False}, found
    print(f"ok: Authlib: {method}: token, introspection, revocation")

# Authlib signs for the URL of the token endpoint.
session = OAuth2Session("signer", open(key_file, "rb").read(), token_endpoint_auth_method="private_key_jwt")
session.register_client_auth_method(PrivateKeyJWT(token_url, headers={"kid": "RS256"}, alg="RS256"))
token = session.fetch_token(token_url, grant_type="client_credentials", audience="orders")
assert token["access_token"], token
print("ok: Authlib: private_key_jwt")

session = OAuth2Session("shop", secret)
subject = session.fetch_token(token_url, grant_type="client_credentials", audience="orders")["access_token"]
token = session.fetch_token(
    token_url,
    grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token=subject,
    subject_token_type="urn:ietf:params:oauth:token-type:access_token",
    audience="billing",
)
assert token["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token", token
print("ok: Authlib: token exchange")

session = OAuth2Session("shop", secret)
token = session.refresh_token(token_url, refresh_token=refresh_token)
assert token["refresh_token"] != refresh_token and token["scope"] == "read", token
print("ok: Authlib: refresh token")

client = BackendApplicationClient(client_id="shop", scope=["read"])
token = RequestsSession(client=client).fetch_token(token_url, client_secret=secret, audience="orders", include_client_id=True)
assert token["scope"] == ["read"], token
try:
    RequestsSession(client=client).fetch_token(token_url, client_secret="wrong", audience="orders")
except OAuth2Error as error:
    assert error.error == "invalid_client" and error.description.startswith("CREDENTIALS_INVALID"), error
else:
    sys.exit("a wrong secret was accepted")
print("ok: requests-oauthlib: client credentials, and the error of a wrong secret")
