package tokend

import (
	"context"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Offline verifies tokens with the JWK set of the issuer. It does not know which tokens are revoked.
func Offline(ctx context.Context, issuer, audience string) (Verify, error) {
	mustFetch := false
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{issuer + "/.well-known/jwks.json"}, keyfunc.Override{
		RefreshInterval: 5 * time.Minute, // jwks_max_age: after that a revoked key must be gone
		// A token with an unknown key fetches the JWK set again. More of them within 5 seconds wait for each other.
		RefreshUnknownKID:         rate.NewLimiter(rate.Every(5*time.Second), 1),
		RateLimitWaitMax:          10 * time.Second,
		HTTPTimeout:               5 * time.Second,
		NoErrorReturnFirstHTTPReq: &mustFetch, // no start without keys
	})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired())
	return func(ctx context.Context, token string) (Caller, error) {
		var claims struct {
			jwt.RegisteredClaims
			Scope string `json:"scope"`
		}
		if _, err := parser.ParseWithClaims(token, &claims, keys.KeyfuncCtx(ctx)); err != nil {
			return Caller{}, status.Error(codes.Unauthenticated, "invalid token")
		}
		return Caller{Subject: claims.Subject, Scopes: strings.Fields(claims.Scope)}, nil
	}, nil
}
