// The clientcredentials package of golang.org/x/oauth2: a token, and the error of a wrong secret.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	issuer, secret := os.Args[1], os.Args[2]
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleAutoDetect, oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		config := clientcredentials.Config{
			ClientID:       "shop",
			ClientSecret:   secret,
			TokenURL:       issuer + "/oauth2/token",
			Scopes:         []string{"read", "write"},
			EndpointParams: url.Values{"audience": {"orders", "billing"}},
			AuthStyle:      style,
		}
		token, err := config.Token(context.Background())
		if err != nil {
			fail(err)
		}
		if !token.Valid() || token.Extra("scope") != "read write" {
			fail(token)
		}
		config.ClientSecret = "wrong"
		_, err = config.Token(context.Background())
		var refused *oauth2.RetrieveError
		if !errors.As(err, &refused) || refused.ErrorCode != "invalid_client" {
			fail(err)
		}
	}
	fmt.Println("ok: golang.org/x/oauth2: client credentials in the header and in the form, and the error of a wrong secret")
}

func fail(problem any) {
	fmt.Fprintln(os.Stderr, "FAILED:", problem)
	os.Exit(1)
}
