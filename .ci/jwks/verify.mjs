// Checks with jose that the JWK set verifies a token of each supported algorithm, that invalid tokens are rejected, and that
// rotations cause no failure.
//
//   node verify.mjs JWKS_URL ISSUER AUDIENCE TOKENS ROTATE...
//
// TOKENS is a file with lines `ALGORITHM TOKEN`; ROTATE is a command that rotates every key and prints such lines.
// NODE_PATH has the folder of jose; only `require` reads it.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const { createRemoteJWKSet, customFetch, decodeProtectedHeader, errors, jwtVerify } = await import(pathToFileURL(require.resolve("jose")));
const version = JSON.parse(readFileSync(require.resolve("jose/package.json"))).version;

// ML-DSA comes from the runtime: node supports it since 24.7.
const [major, minor] = process.versions.node.split(".").map(Number);
const MLDSA = major > 24 || (major === 24 && minor >= 7) ? ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] : [];
// The algorithms that must be verified, so that a run without verifications fails.
const KNOWN = ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", ...MLDSA];
// Longer than the lifetime of the tokens, in milliseconds, to check their expiry.
const LATER = 86_400_000;

const [jwksUrl, issuer, audience, path, ...rotate] = process.argv.slice(2);
let fetches = 0;
const counted = (...request) => {
  fetches += 1;
  return fetch(...request);
};
// Fetches the set again for each unknown key; the default waits 30 seconds between fetches.
const keys = createRemoteJWKSet(new URL(jwksUrl), { [customFetch]: counted, cooldownDuration: 0 });

const read = (text) => text.trim().split("\n").map((line) => line.split(" "));

function fail(problem) {
  console.error(problem);
  process.exit(1);
}

function rotated(tokens) {
  const fresh = read(execFileSync(rotate[0], rotate.slice(1), { encoding: "ascii" }));
  const all = [...tokens, ...fresh];
  const kids = new Set(all.map(([, token]) => decodeProtectedHeader(token).kid));
  if (kids.size !== all.length) fail("not every key was rotated");
  return all;
}

async function refused(expected, token, given) {
  try {
    await jwtVerify(token, keys, given);
  } catch (error) {
    if (error instanceof expected) return;
    throw error;
  }
  throw new Error(`jose did not reject the token: ${expected.name}`);
}

async function check(algorithm, token) {
  const given = { algorithms: [algorithm], issuer, audience, requiredClaims: ["sub", "exp", "nbf", "iat", "jti"] };
  const { payload } = await jwtVerify(token, keys, given);
  if (payload.sub !== "alice") throw new Error(`unexpected subject: ${payload.sub}`);
  await refused(errors.JWTClaimValidationFailed, token, { ...given, audience: `${audience}x` });
  await refused(errors.JWTClaimValidationFailed, token, { ...given, issuer: `${issuer}x` });
  await refused(errors.JWTExpired, token, { ...given, currentDate: new Date(Date.now() + LATER) });
  const [head, body, signature] = token.split(".");
  const other = signature[10] === "A" ? "B" : "A";
  const broken = `${head}.${body}.${signature.slice(0, 10)}${other}${signature.slice(11)}`;
  await refused(errors.JWSSignatureVerificationFailed, broken, given);
}

async function verify(tokens) {
  const known = tokens.filter(([algorithm]) => KNOWN.includes(algorithm));
  for (const [algorithm, token] of known) await check(algorithm, token);
  const verified = known.map(([algorithm]) => algorithm);
  const missing = KNOWN.filter((algorithm) => !verified.includes(algorithm));
  if (missing.length > 0) fail(`jose should have verified ${missing.join(" ")}`);
  return verified;
}

let tokens = read(readFileSync(path, "ascii"));
const verified = await verify(tokens);
const unknown = tokens.map(([algorithm]) => algorithm).filter((algorithm) => !KNOWN.includes(algorithm));
console.log(
  `jose ${version} on node ${process.versions.node}: verified ${verified.join(" ")}; ` +
    `does not know ${unknown.join(" ") || "none other"}`,
);

tokens = rotated(tokens);
await verify(tokens);
if (fetches !== 1) fail(`${fetches} fetches, although the set had the keys before they signed`);
tokens = rotated(tokens);
await verify(tokens);
if (fetches !== 2) fail(`${fetches} fetches, although one fetch has the new keys`);
console.log("jose verified tokens from before and after a rotation with the earlier set, and fetched the set once after the next rotation");
