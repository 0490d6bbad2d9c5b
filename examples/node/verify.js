// Verifies access tokens, offline with jose or online with VerifyToken. Both return the subject and the scopes, or reject with a status.
import grpc from "@grpc/grpc-js";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import { LRUCache } from "lru-cache";
import { milliseconds } from "./proto.js";

const { INVALID_ARGUMENT, UNAUTHENTICATED, UNAVAILABLE } = grpc.status;
const invalid = () => ({ code: UNAUTHENTICATED, details: "invalid token" });

// There is no decision about the token: tokend is not available, or rejects the credential of this service.
function unavailable(error) {
  console.error("cannot verify a token:", error.message);
  return { code: UNAVAILABLE, details: "cannot verify the token" };
}

// Verifies with the JWK set of the issuer. It does not know which tokens are revoked.
export function offline(issuer, audience) {
  const url = new URL(`${issuer}/.well-known/jwks.json`);
  const keys = createRemoteJWKSet(url, { cacheMaxAge: 300_000, cooldownDuration: 5_000, timeoutDuration: 5_000 });
  const options = { algorithms: ["ES256"], issuer, audience, requiredClaims: ["sub", "exp", "iat"] };
  // The JWK set cannot be fetched: jose has a generic error for a wrong status, and fetch has errors of its own.
  const unfetched = (error) => !error.code?.startsWith("ERR_J") || ["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT"].includes(error.code);

  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, options);
      return { subject: payload.sub, scopes: payload.scope?.split(" ") ?? [] };
    } catch (error) {
      throw unfetched(error) ? unavailable(error) : invalid();
    }
  };
}

// Verifies with VerifyToken. It rejects a revoked token at once, or after cache_ttl if it has accepted it before.
export function online(call, audience) {
  const cache = new LRUCache({ max: 10_000 });
  const readMask = { paths: ["token_claims", "cache_ttl"] };

  return async (token) => {
    const cached = cache.get(token);
    if (cached) return cached;
    try {
      const { tokenClaims, cacheTtl } = await call("verifyToken", { token, audiences: [audience], readMask });
      const caller = { subject: tokenClaims.subject, scopes: tokenClaims.scopes };
      const ttl = Math.floor(milliseconds(cacheTtl ?? {})); // For lru-cache, zero would mean "for ever".
      if (ttl > 0) cache.set(token, caller, { ttl });
      return caller;
    } catch (error) {
      throw error.code === INVALID_ARGUMENT ? invalid() : unavailable(error);
    }
  };
}
