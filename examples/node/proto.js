// Loads the API files, without generated code. A service has its own copy of them.
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";

const includeDirs = ["../../proto", ".."].map((folder) => fileURLToPath(new URL(folder, import.meta.url)));
const definition = loadSync(["tokend/v1/token_service.proto", "orders.proto"], { includeDirs, longs: Number, arrays: true });

export const { tokend, orders } = grpc.loadPackageDefinition(definition);
export const milliseconds = ({ seconds = 0, nanos = 0 }) => seconds * 1000 + nanos / 1e6;
