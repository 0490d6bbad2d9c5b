package tokend

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	tokendv1 "example/gen/tokend/v1"
)

// AccessToken adds an access token to each call, and replaces it ahead of its expiry.
func AccessToken(client tokendv1.TokenServiceClient, request *tokendv1.IssueTokenRequest) credentials.PerRPCCredentials {
	return &accessToken{client: client, request: request}
}

type accessToken struct {
	client        tokendv1.TokenServiceClient
	request       *tokendv1.IssueTokenRequest
	mutex         sync.Mutex // held during IssueToken, so that concurrent calls share one token
	token         bearer
	renew, expire time.Time
}

func (a *accessToken) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if now := time.Now(); now.After(a.renew) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		response, err := a.client.IssueToken(ctx, a.request)
		switch {
		case err == nil:
			lifetime := response.ExpiresIn.AsDuration() // from now, so that the clocks may differ
			a.token, a.renew, a.expire = bearer(response.AccessToken), now.Add(lifetime*3/4), now.Add(lifetime)
		case now.After(a.expire):
			return nil, err
		default: // The token is still valid. The next attempt is a second from now.
			a.renew = now.Add(time.Second)
		}
	}
	return a.token.GetRequestMetadata(ctx, uri...)
}

func (a *accessToken) RequireTransportSecurity() bool { return a.token.RequireTransportSecurity() }
