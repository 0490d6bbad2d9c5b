"""Calls the order service with an access token: `client.py [CALLS]`, ten calls a second."""

import os
import sys
import time

import grpc
import orders_pb2
import orders_pb2_grpc
from access_token import AccessToken
from connect import connect
from tokend.v1 import token_service_pb2

request = token_service_pb2.IssueTokenRequest(audiences=["orders"], scopes=["orders.read"])
token = grpc.metadata_call_credentials(AccessToken(connect(), request))
credentials = grpc.composite_channel_credentials(grpc.local_channel_credentials(), token)
with grpc.secure_channel(os.environ["ORDERS_ADDR"], credentials) as channel:
    orders = orders_pb2_grpc.OrderServiceStub(channel)
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        response = orders.ListOrders(orders_pb2.ListOrdersRequest(), timeout=10)
        print(f"the orders of {response.subject}:", *response.orders)
        time.sleep(0.1)
