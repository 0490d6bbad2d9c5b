// Gets access tokens from tokend, and adds one to each call.
import grpc from "@grpc/grpc-js";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { milliseconds, tokend } from "./proto.js";

// Returns a function that calls a unary method of tokend with the secret in TOKEND_CLIENT_SECRET_FILE. Use one for the whole process.
export function connect() {
  const secret = readFileSync(process.env.TOKEND_CLIENT_SECRET_FILE, "utf8").trim();
  // Plaintext is for `tokend dev`. In production: grpc.credentials.createSsl(readFileSync("ca.crt")).
  const client = new tokend.v1.TokenService(process.env.TOKEND_GRPC, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${secret}`);
  return (method, request) => promisify(client[method].bind(client))(request, metadata, { deadline: Date.now() + 5000 });
}

// Keeps an access token, and replaces it ahead of its expiry.
export class AccessToken {
  #token;
  #renew = 0;
  #expire = 0;
  #renewal;

  constructor(call, request) {
    this.issue = () => call("issueToken", request);
  }

  // Concurrent calls share one request.
  async get() {
    if (performance.now() >= this.#renew) {
      await (this.#renewal ??= this.#request().finally(() => (this.#renewal = undefined)));
    }
    return this.#token;
  }

  async #request() {
    const now = performance.now();
    try {
      const { accessToken, expiresIn } = await this.issue();
      const lifetime = milliseconds(expiresIn); // from now, so that the clocks may differ
      [this.#token, this.#renew, this.#expire] = [accessToken, now + (lifetime * 3) / 4, now + lifetime];
    } catch (error) {
      if (performance.now() >= this.#expire) throw error;
      this.#renew = performance.now() + 1000; // The token is still valid. The next attempt is a second from now.
    }
  }

  // The credentials for the options of a call. With TLS they can be combined with those of the channel.
  credentials() {
    return grpc.credentials.createFromMetadataGenerator(async (_, callback) => {
      const metadata = new grpc.Metadata();
      this.get().then((token) => (metadata.set("authorization", `Bearer ${token}`), callback(null, metadata)), callback);
    });
  }
}
