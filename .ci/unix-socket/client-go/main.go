// Calls IssueToken at an address, with the audience `orders` and no credential.
//
//	go run . ADDRESS
//
// Prints the token, or the code of the error.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// bytes is a codec for messages that are encoded already.
type bytes struct{}

func (bytes) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (bytes) Unmarshal(data []byte, to any) error {
	*to.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (bytes) Name() string { return "proto" }

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	context, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// IssueTokenRequest.audiences = 2
	request := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "orders")
	var response []byte
	err = connection.Invoke(context, "/tokend.v1.TokenService/IssueToken", &request, &response, grpc.ForceCodec(bytes{}))
	if err != nil {
		fmt.Println(status.Code(err))
		os.Exit(1)
	}
	// IssueTokenResponse.access_token = 1
	_, _, tag := protowire.ConsumeTag(response)
	token, _ := protowire.ConsumeString(response[tag:])
	fmt.Println(token)
}
