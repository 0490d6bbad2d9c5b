// Drives the page of the development server: what it shows, what it says of tokens, and what it loads.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_PATH}/`);
const { default: puppeteer } = await import(require.resolve("puppeteer-core"));
const [chromium, issuer, token, screenshot] = process.argv.slice(2);

const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  const loaded = [];
  const problems = [];
  page.on("request", (request) => loaded.push(request.url()));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(issuer);
  const text = (id) => page.$eval(`#${id}`, (element) => element.innerText);
  await page.waitForFunction(() => document.querySelector("#call-rows tr"));
  assert.equal(await text("ready"), "It is ready.");
  assert.match(await text("version"), /^\d+\.\d+\.\d+$/);
  assert.equal(await text("issuer"), issuer);
  assert.match(await text("key-rows"), /ES256/);
  assert.match(await text("call-rows"), /VerifyToken/);
  assert.match(await text("refusal-rows"), /^TOKEN_AUDIENCE_MISMATCH\t1/);
  assert.match(await text("curl"), new RegExp(`${issuer}/oauth2/token$`));
  console.log("ok: the page shows server, keys, calls and rejected tokens");

  const inspected = async (value) => {
    const before = await text("findings");
    await page.$eval("#token", (area, value) => {
      area.value = value;
      area.dispatchEvent(new Event("input"));
    }, value);
    await page.waitForFunction((before) => document.querySelector("#findings").innerText !== before, {}, before);
    return text("findings");
  };
  assert.match(await inspected(token), /^Valid, unless/);
  assert.match(await text("parts"), /"sub": "alice"/);
  const [header, claims, signature] = token.split(".");
  const other = (part, change) => Buffer.from(JSON.stringify(change(JSON.parse(Buffer.from(part, "base64url"))))).toString("base64url");
  const changed = other(claims, (claims) => ({ ...claims, sub: "<img src=x onerror=alert(1)>", exp: 1 }));
  const found = await inspected(`${header}.${changed}.${signature}`);
  assert.match(found, /TOKEN_SIGNATURE_INVALID/);
  assert.match(found, /TOKEN_EXPIRED: at 1970/);
  assert.equal(await page.$("img"), null);
  assert.match(await inspected(`${other(header, (header) => ({ ...header, kid: "x" }))}.${claims}.${signature}`), /TOKEN_KEY_UNKNOWN/);
  assert.match(await inspected("a.b"), /TOKEN_MALFORMED/);
  console.log("ok: the inspector accepts a good token and says why the server would reject others");

  assert.deepEqual(problems, []);
  assert.ok(loaded.every((url) => url.startsWith(`${issuer}/`)), loaded.join("\n"));
  assert.ok(loaded.every((url) => !url.includes(header)), "a token was sent");
  console.log(`ok: ${loaded.length} requests, all to the server, none with a token`);
  await page.screenshot({ path: screenshot, fullPage: true });
} finally {
  await browser.close();
}
