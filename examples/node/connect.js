// Calls tokend.
import grpc from "@grpc/grpc-js";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { tokend } from "./proto.js";

// Both methods may be repeated: they change nothing.
const retries = {
  name: ["IssueToken", "VerifyToken"].map((method) => ({ service: "tokend.v1.TokenService", method })),
  retryPolicy: { maxAttempts: 4, initialBackoff: "0.1s", maxBackoff: "1s", backoffMultiplier: 2, retryableStatusCodes: ["UNAVAILABLE"] },
};

// Returns a function that calls a unary method of tokend with the secret in TOKEND_CLIENT_SECRET_FILE. Use one for the whole process.
export function connect() {
  const secret = readFileSync(process.env.TOKEND_CLIENT_SECRET_FILE, "utf8").trim();
  // Plaintext is for `tokend dev`. In production: grpc.credentials.createSsl(readFileSync("ca.crt")).
  const client = new tokend.v1.TokenService(process.env.TOKEND_GRPC, grpc.credentials.createInsecure(), {
    "grpc.service_config": JSON.stringify({ methodConfig: [retries] }),
  });
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${secret}`);
  return (method, request) => promisify(client[method].bind(client))(request, metadata, { deadline: Date.now() + 5000 });
}
