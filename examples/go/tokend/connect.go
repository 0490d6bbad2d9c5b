// Package tokend gets and verifies access tokens. Copy it into your service.
package tokend

import (
	"context"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	tokendv1 "example/gen/tokend/v1"
)

// Both methods may be repeated: they change nothing.
const retries = `{"methodConfig": [{
	"name": [{"service": "tokend.v1.TokenService", "method": "IssueToken"}, {"service": "tokend.v1.TokenService", "method": "VerifyToken"}],
	"retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]}
}]}`

// Connect returns a client of tokend that authenticates with the secret in TOKEND_CLIENT_SECRET_FILE. Use one for the whole process.
func Connect() (tokendv1.TokenServiceClient, error) {
	secret, err := os.ReadFile(os.Getenv("TOKEND_CLIENT_SECRET_FILE"))
	if err != nil {
		return nil, err
	}
	// Plaintext is for `tokend dev`. In production: credentials.NewClientTLSFromFile("ca.crt", ""), and the same for other services.
	connection, err := grpc.NewClient(os.Getenv("TOKEND_GRPC"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithPerRPCCredentials(bearer(strings.TrimSpace(string(secret)))))
	if err != nil {
		return nil, err
	}
	return tokendv1.NewTokenServiceClient(connection), nil
}

// bearer is a fixed credential for each call. It implements credentials.PerRPCCredentials.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity must return true in production, so that the credential is never sent in plaintext.
func (bearer) RequireTransportSecurity() bool { return false }
