// openid-client: discovery, each way to authenticate, the grants, introspection and revocation.
import assert from "node:assert/strict";
import { createPrivateKey, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_PATH}/`);
const client = await import(require.resolve("openid-client"));
const [issuer, secret, keyFile] = process.argv.slice(2);

const discover = (id, authentication) =>
  client.discovery(new URL(issuer), id, undefined, authentication, {
    algorithm: "oauth2",
    execute: [client.allowInsecureRequests],
  });
const parameters = { audience: "orders", scope: "read" };

for (const authentication of [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)]) {
  const config = await discover("shop", authentication);
  const { access_token } = await client.clientCredentialsGrant(config, parameters);
  const active = await client.tokenIntrospection(config, access_token, { audience: "orders" });
  assert.equal(active.active, true);
  assert.equal(active.client_id, "shop");
  await client.tokenRevocation(config, access_token);
  assert.deepEqual({ ...(await client.tokenIntrospection(config, access_token, { audience: "orders" })) }, { active: false });
}
console.log("ok: openid-client: client_secret_basic and client_secret_post: token, introspection, revocation");

const pkcs8 = createPrivateKey(readFileSync(keyFile)).export({ format: "der", type: "pkcs8" });
const key = await webcrypto.subtle.importKey("pkcs8", pkcs8, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
const signer = await discover("signer", client.PrivateKeyJwt({ key, kid: "ES256" }));
assert.equal((await client.clientCredentialsGrant(signer, { audience: "orders" })).token_type, "bearer");
console.log("ok: openid-client: private_key_jwt");

const config = await discover("shop", client.ClientSecretBasic("wrong"));
// The library shows the challenge (RFC 6749 section 5.2), and not the body.
await assert.rejects(client.clientCredentialsGrant(config, parameters), (error) => {
  assert.equal(error.status, 401);
  assert.deepEqual(error.cause.map(({ scheme }) => scheme), ["basic"]);
  return true;
});
console.log("ok: openid-client: a wrong secret is rejected");
