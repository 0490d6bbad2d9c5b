// The page of the development server. It reads public documents and metrics of the same origin, and sends nothing.

const element = (id) => document.getElementById(id);
const json = async (path) => (await fetch(path)).json();

/** A row with one cell for each text; numbers get a meter relative to `most`. */
function row(texts, most) {
  const tr = document.createElement("tr");
  for (const text of texts) tr.insertCell().textContent = text;
  if (most) {
    const meter = document.createElement("meter");
    meter.max = most;
    meter.value = texts.at(-1);
    tr.insertCell().append(meter);
  }
  return tr;
}

/** The samples of the Prometheus text format: name, labels, value. */
function samples(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? ([0-9.e+-]+)$/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) labels[name] = value;
    found.push({ name: match[1], labels, value: Number(match[3]) });
  }
  return found;
}

function age(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

function counts(rows, id) {
  const most = Math.max(...rows.map((texts) => texts.at(-1)), 1);
  element(id).replaceChildren(...rows.sort((a, b) => b.at(-1) - a.at(-1)).map((texts) => row(texts, most)));
}

async function refresh() {
  const ready = await fetch("/readyz");
  element("ready").textContent = ready.ok ? "It is ready." : `It is not ready: ${await ready.text()}`;
  element("ready").className = ready.ok ? "good" : "problem";
  const metrics = samples(await (await fetch("/metrics")).text());
  const named = (name) => metrics.filter((sample) => sample.name === name && sample.value > 0);
  element("version").textContent = named("tokend_build_info")[0]?.labels.version ?? "";
  element("key-rows").replaceChildren(
    ...metrics
      .filter(({ name }) => name === "tokend_key_age_seconds")
      .map(({ labels, value }) => row([labels.key_id, labels.algorithm, age(value)])),
  );
  counts(
    named("grpc_server_handled_total").map(({ labels, value }) => [labels.grpc_method, labels.grpc_code, value]),
    "call-rows",
  );
  counts(
    named("tokend_tokens_verified_total").filter(({ labels }) => labels.result !== "OK")
      .map(({ labels, value }) => [labels.result, value]),
    "refusal-rows",
  );
}

const decode = (part) => Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (byte) => byte.charCodeAt(0));

const IMPORTS = {
  ES256: [{ name: "ECDSA", namedCurve: "P-256" }, { name: "ECDSA", hash: "SHA-256" }],
  ES384: [{ name: "ECDSA", namedCurve: "P-384" }, { name: "ECDSA", hash: "SHA-384" }],
  EdDSA: [{ name: "Ed25519" }, { name: "Ed25519" }],
};

/** What is wrong with a token, in the order of VerifyToken. The audience is the choice of the service. */
async function problems([header, claims, signature], input, issuer, keys) {
  const found = [];
  const key = keys.find(({ kid }) => kid === header.kid);
  if (!key) found.push("TOKEN_KEY_UNKNOWN: the JWK set has no key with this kid");
  else if (key.alg !== header.alg) found.push("TOKEN_ALGORITHM_NOT_ALLOWED: the key is for another algorithm");
  else if (IMPORTS[key.alg]) {
    const [importing, verifying] = IMPORTS[key.alg];
    const imported = await crypto.subtle.importKey("jwk", { kty: key.kty, crv: key.crv, x: key.x, y: key.y }, importing, false, ["verify"]);
    if (!(await crypto.subtle.verify(verifying, imported, signature, new TextEncoder().encode(input)))) {
      found.push("TOKEN_SIGNATURE_INVALID: the signature does not verify");
    }
  }
  const now = Date.now() / 1000;
  if (claims.iss !== issuer) found.push(`TOKEN_ISSUER_MISMATCH: iss is not ${issuer}`);
  if (!(claims.exp > now)) found.push(`TOKEN_EXPIRED: at ${new Date(claims.exp * 1000).toISOString()}`);
  if (claims.nbf > now) found.push("TOKEN_NOT_YET_VALID: nbf is in the future");
  return found;
}

async function inspect() {
  const list = element("findings");
  const show = (texts, kind) => list.replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = text;
    return item;
  }));
  const text = element("token").value.trim();
  element("parts").replaceChildren();
  if (!text) return show([], "");
  let parts;
  try {
    const [header, claims, signature, ...more] = text.split(".");
    if (signature === undefined || more.length) throw new Error("three parts");
    const object = (part) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(decode(part)));
    parts = [object(header), object(claims), decode(signature)];
  } catch {
    return show(["TOKEN_MALFORMED: this is not a JWS in compact serialisation"], "problem");
  }
  for (const part of parts.slice(0, 2)) {
    const pre = document.createElement("pre");
    pre.textContent = JSON.stringify(part, null, 2);
    element("parts").append(pre);
  }
  const { issuer } = await json("/.well-known/openid-configuration");
  const { keys } = await json("/.well-known/jwks.json");
  const found = await problems(parts, text.slice(0, text.lastIndexOf(".")), issuer, keys);
  if (found.length) return show(found, "problem");
  show(["Valid, unless it is revoked, and if the service is one of its audiences."], "good");
}

element("token").addEventListener("input", inspect);
const { issuer, token_endpoint } = await json("/.well-known/openid-configuration");
element("issuer").textContent = issuer;
element("curl").textContent =
  `curl --user dev:$SECRET -d grant_type=client_credentials -d audience=orders ${token_endpoint}`;
await refresh();
setInterval(refresh, 5000);
