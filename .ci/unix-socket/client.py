"""Calls IssueToken at an address, with the audience `orders` and no credential.

    python client.py ADDRESS

Run it in the folder with the .proto files. Prints the token, or the code of the error.
"""

import sys

import grpc

sys.path.insert(0, ".")
messages, services = grpc.protos_and_services("tokend/v1/token_service.proto")

# By default the library sends the path of the socket as the host, with `%2F`, which HTTP/2 servers reject.
options = [("grpc.default_authority", "localhost")]

with grpc.insecure_channel(sys.argv[1], options) as channel:
    service = services.TokenServiceStub(channel)
    try:
        print(service.IssueToken(messages.IssueTokenRequest(audiences=["orders"]), timeout=30).access_token)
    except grpc.RpcError as error:
        print(error.code().name)
        sys.exit(1)
