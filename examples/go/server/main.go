// Serves orders to callers with an access token for the audience `orders`: `server online` or `server offline`.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"

	ordersv1 "example/gen/orders/v1"
	"example/tokend"
)

var scopes = map[string]string{ordersv1.OrderService_ListOrders_FullMethodName: "orders.read"}

type orders struct {
	ordersv1.UnimplementedOrderServiceServer
}

func (orders) ListOrders(ctx context.Context, _ *ordersv1.ListOrdersRequest) (*ordersv1.ListOrdersResponse, error) {
	return &ordersv1.ListOrdersResponse{Subject: tokend.CallerOf(ctx).Subject, Orders: []string{"book", "lamp"}}, nil
}

func verifier(way string) (tokend.Verify, error) {
	if way == "offline" {
		return tokend.Offline(context.Background(), os.Getenv("TOKEND_ISSUER"), "orders")
	}
	client, err := tokend.Connect()
	return tokend.Online(client, "orders"), err
}

func main() {
	verify, err := verifier(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", os.Getenv("ORDERS_ADDR"))
	if err != nil {
		log.Fatal(err)
	}
	// With streaming methods also grpc.StreamInterceptor; with TLS also grpc.Creds.
	server := grpc.NewServer(grpc.UnaryInterceptor(tokend.RequireToken(verify, scopes)))
	ordersv1.RegisterOrderServiceServer(server, orders{})
	fmt.Println("serving on", listener.Addr())
	log.Fatal(server.Serve(listener))
}
