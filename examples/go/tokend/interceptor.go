package tokend

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Caller is who calls, and what the token allows.
type Caller struct {
	Subject string
	Scopes  []string
}

// Verify returns the caller of a valid token, or a gRPC status.
type Verify func(ctx context.Context, token string) (Caller, error)

type callerKey struct{}

// CallerOf returns the caller of a method behind RequireToken.
func CallerOf(ctx context.Context) Caller { return ctx.Value(callerKey{}).(Caller) }

// RequireToken rejects each call without a valid token that has the scope of the method. A method without a scope is rejected.
func RequireToken(verify Verify, scopes map[string]string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		values := metadata.ValueFromIncomingContext(ctx, "authorization")
		if len(values) != 1 {
			return nil, status.Error(codes.Unauthenticated, "one bearer token is required")
		}
		scheme, token, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, status.Error(codes.Unauthenticated, "one bearer token is required")
		}
		caller, err := verify(ctx, token)
		if err != nil {
			return nil, err
		}
		if scope, ok := scopes[info.FullMethod]; !ok || !slices.Contains(caller.Scopes, scope) {
			return nil, status.Errorf(codes.PermissionDenied, "the token lacks the scope %q", scope)
		}
		return handler(context.WithValue(ctx, callerKey{}, caller), request)
	}
}
