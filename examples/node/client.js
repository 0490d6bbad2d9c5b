// Calls the order service with an access token: `client.js [CALLS]`, ten calls a second.
import grpc from "@grpc/grpc-js";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { AccessToken } from "./access-token.js";
import { connect } from "./connect.js";
import { orders } from "./proto.js";

const token = new AccessToken(connect(), { audiences: ["orders"], scopes: ["orders.read"] });
const client = new orders.v1.OrderService(process.env.ORDERS_ADDR, grpc.credentials.createInsecure());
const listOrders = promisify(client.listOrders.bind(client));

for (let calls = Number(process.argv[2] ?? 1); calls > 0; calls--) {
  const response = await listOrders({}, { credentials: token.credentials(), deadline: Date.now() + 10_000 });
  console.log(`the orders of ${response.subject}:`, ...response.orders);
  await setTimeout(100);
}
client.close();
