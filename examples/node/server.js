// Serves orders to callers with an access token for the audience `orders`: `server.js online` or `server.js offline`.
import grpc from "@grpc/grpc-js";
import { connect } from "./connect.js";
import { orders } from "./proto.js";
import { requireToken } from "./require-token.js";
import { offline, online } from "./verify.js";

const { ORDERS_ADDR, TOKEND_ISSUER } = process.env;
const verify = process.argv[2] === "offline" ? offline(TOKEND_ISSUER, "orders") : online(connect(), "orders");

const scopes = { listOrders: "orders.read" };
const methods = {
  listOrders: async (request, caller) => ({ subject: caller.subject, orders: ["book", "lamp"] }),
};

const server = new grpc.Server();
server.addService(orders.v1.OrderService.service, requireToken(verify, scopes, methods));
// With TLS: grpc.ServerCredentials.createSsl.
server.bindAsync(ORDERS_ADDR, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`serving on ${ORDERS_ADDR.replace(/:\d+$/, `:${port}`)}`);
});
