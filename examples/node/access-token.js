// An access token of tokend for each call.
import grpc from "@grpc/grpc-js";
import { milliseconds } from "./proto.js";

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
    return grpc.credentials.createFromMetadataGenerator((_, callback) => {
      const metadata = new grpc.Metadata();
      this.get().then((token) => (metadata.set("authorization", `Bearer ${token}`), callback(null, metadata)), callback);
    });
  }
}
