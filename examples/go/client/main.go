// Calls the order service with an access token: `client [CALLS]`, ten calls a second.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	ordersv1 "example/gen/orders/v1"
	tokendv1 "example/gen/tokend/v1"
	"example/tokend"
)

func main() {
	calls := 1
	if len(os.Args) > 1 {
		calls, _ = strconv.Atoi(os.Args[1])
	}
	client, err := tokend.Connect()
	if err != nil {
		log.Fatal(err)
	}
	token := tokend.AccessToken(client, &tokendv1.IssueTokenRequest{Audiences: []string{"orders"}, Scopes: []string{"orders.read"}})
	connection, err := grpc.NewClient(os.Getenv("ORDERS_ADDR"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(token))
	if err != nil {
		log.Fatal(err)
	}
	orders := ordersv1.NewOrderServiceClient(connection)
	for range calls {
		response, err := orders.ListOrders(context.Background(), &ordersv1.ListOrdersRequest{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("the orders of", response.Subject+":", response.Orders)
		time.Sleep(100 * time.Millisecond)
	}
}
