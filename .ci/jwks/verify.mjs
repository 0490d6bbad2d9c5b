// jose's word on the JWK set: it verifies a token of each algorithm that it knows, and refuses what it must; through
// rotations too.
//
//   node verify.mjs JWKS_URL ISSUER AUDIENCE TOKENS ROTATE...
//
// TOKENS is a file with lines `ALGORITHM TOKEN`; ROTATE is a command that has every key rotate, and prints such lines.
// jose is found by NODE_PATH, which only `require` looks at.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const { createRemoteJWKSet, customFetch, decodeProtectedHeader, errors, jwtVerify } = await import(pathToFileURL(require.resolve("jose")));
const version = JSON.parse(readFileSync(require.resolve("jose/package.json"))).version;

// ML-DSA is the runtime's: node has it since 24.7.
const [major, minor] = process.versions.node.split(".").map(Number);
const MLDSA = major > 24 || (major === 24 && minor >= 7) ? ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] : [];
// What it must verify, so that a run that verified nothing does not pass.
const KNOWN = ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", ...MLDSA];
// Longer than the tokens live, in milliseconds.
const LATER = 86_400_000;

const [jwksUrl, issuer, audience, path, ...rotate] = process.argv.slice(2);
let fetches = 0;
const counted = (...request) => {
  fetches += 1;
  return fetch(...request);
};
// By default it does not fetch again for an unknown key within 30 seconds of the last time, as it is to do here.
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
  throw new Error(`jose should have refused it: ${expected.name}`);
}

async function check(algorithm, token) {
  const given = { algorithms: [algorithm], issuer, audience, requiredClaims: ["sub", "exp", "nbf", "iat", "jti"] };
  const { payload } = await jwtVerify(token, keys, given);
  if (payload.sub !== "alice") throw new Error(`about somebody else: ${payload.sub}`);
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
if (fetches !== 2) fail(`${fetches} fetches, although one brings what the set did not have`);
console.log("jose verified the tokens of before and after a rotation from a set of before it, and a newer one after the next");
