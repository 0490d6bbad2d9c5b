// Prints the JWK set with the public keys of private keys in PEM. The name of each file is the key's algorithm and id.
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const keys = process.argv.slice(2).map((file) => {
  const name = basename(file, ".pem");
  return { ...createPublicKey(readFileSync(file)).export({ format: "jwk" }), kid: name, alg: name, use: "sig" };
});
console.log(JSON.stringify({ keys }));
