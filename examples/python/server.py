"""Serves orders to callers with an access token for the audience `orders`: `server.py online` or `server.py offline`."""

import os
import sys
from concurrent import futures

import grpc
import orders_pb2
import orders_pb2_grpc
import verify
from connect import connect
from require_token import RequireToken, caller

SCOPES = {"/orders.v1.OrderService/ListOrders": "orders.read"}


class Orders(orders_pb2_grpc.OrderServiceServicer):
    def ListOrders(self, request, context):
        return orders_pb2.ListOrdersResponse(subject=caller.get().subject, orders=["book", "lamp"])


if sys.argv[1] == "offline":
    verifier = verify.offline(os.environ["TOKEND_ISSUER"], "orders")
else:
    verifier = verify.online(connect(), "orders")
server = grpc.server(futures.ThreadPoolExecutor(), interceptors=[RequireToken(verifier, SCOPES)])
orders_pb2_grpc.add_OrderServiceServicer_to_server(Orders(), server)
host, _, port = os.environ["ORDERS_ADDR"].rpartition(":")
port = server.add_insecure_port(f"{host}:{port}")  # with TLS: add_secure_port
server.start()
print(f"serving on {host}:{port}", flush=True)
server.wait_for_termination()
