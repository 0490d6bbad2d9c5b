package tokend

import (
	"context"
	"log"

	"github.com/jellydator/ttlcache/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	tokendv1 "example/gen/tokend/v1"
)

// Online verifies tokens with VerifyToken. It rejects a revoked token at once, or after cache_ttl if it has accepted it before.
func Online(client tokendv1.TokenServiceClient, audience string) Verify {
	cache := ttlcache.New(ttlcache.WithCapacity[string, Caller](10_000), ttlcache.WithDisableTouchOnHit[string, Caller]())
	return func(ctx context.Context, token string) (Caller, error) {
		if item := cache.Get(token); item != nil {
			return item.Value(), nil
		}
		response, err := client.VerifyToken(ctx, &tokendv1.VerifyTokenRequest{
			Token:     token,
			Audiences: []string{audience},
			ReadMask:  &fieldmaskpb.FieldMask{Paths: []string{"token_claims", "cache_ttl"}},
		})
		switch status.Code(err) {
		case codes.OK:
			caller := Caller{Subject: response.TokenClaims.Subject, Scopes: response.TokenClaims.Scopes}
			if ttl := response.CacheTtl.AsDuration(); ttl > 0 {
				cache.Set(token, caller, ttl)
			}
			return caller, nil
		case codes.InvalidArgument:
			return Caller{}, status.Error(codes.Unauthenticated, "invalid token")
		default: // No decision about the token: tokend is not available, or rejects the credential of this service.
			log.Println("cannot verify a token:", err)
			return Caller{}, status.Error(codes.Unavailable, "cannot verify the token")
		}
	}
}
