// Checks with go-jose that the JWK set verifies a token of each supported algorithm, that invalid tokens are rejected, and that
// rotations cause no failure.
//
//	go run . JWKS_URL ISSUER AUDIENCE TOKENS ROTATE...
//
// TOKENS is a file with lines `ALGORITHM TOKEN`; ROTATE is a command that rotates every key and prints such lines.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What it must verify at least, so that a run that verified nothing does not pass. It supports ML-DSA since Go 1.27.
var minimum = strings.Fields("ES256 ES384 EdDSA RS256 RS384 RS512 PS256 PS384 PS512")

// Longer than the lifetime of the tokens, to check their expiry.
const later = 24 * time.Hour

// token is a token with the name of its algorithm.
type token struct{ algorithm, text string }

func main() {
	if len(os.Args) < 6 {
		fail("five arguments expected")
	}
	jwksURL, rotate := os.Args[1], os.Args[5:]
	expected := jwt.Expected{Issuer: os.Args[2], AnyAudience: jwt.Audience{os.Args[3]}}
	keys, whole := fetch(jwksURL)
	lines, err := os.ReadFile(os.Args[4])
	if err != nil {
		fail(err)
	}
	tokens := read(lines)
	verified, unknown := verify(keys, tokens, expected)
	fmt.Printf("go-jose %s on %s: verified %s; does not know %s\n",
		version(), runtime.Version(), strings.Join(verified, " "), orNone(unknown))
	if !whole {
		fmt.Println("go-jose refuses this set as a whole, for the keys that it does not know, and was given its keys one by one")
	}

	tokens = append(tokens, rotated(rotate)...)
	verify(keys, tokens, expected)
	before := keys
	fresh := rotated(rotate)
	keys, _ = fetch(jwksURL)
	verify(keys, append(tokens, fresh...), expected)
	for _, one := range fresh {
		if slices.Contains(verified, one.algorithm) && len(before.Key(kid(one))) > 0 {
			fail("the set of before the first rotation has the key of after the second: were there two?")
		}
	}
	fmt.Println("go-jose verified tokens from before and after a rotation with the earlier set, and fetched the set once after the next rotation")
}

// read reads lines `ALGORITHM TOKEN`.
func read(lines []byte) []token {
	var tokens []token
	for line := range strings.Lines(string(lines)) {
		algorithm, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		tokens = append(tokens, token{algorithm, text})
	}
	return tokens
}

// rotated rotates every key and returns a token of each.
func rotated(rotate []string) []token {
	lines, err := exec.Command(rotate[0], rotate[1:]...).Output()
	if err != nil {
		fail("the rotation failed: ", err)
	}
	return read(lines)
}

// kid returns the id of the key of a token.
func kid(one token) string {
	parsed, err := jwt.ParseSigned(one.text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(one.algorithm)})
	if err != nil {
		fail(err)
	}
	return parsed.Headers[0].KeyID
}

// verify verifies the tokens whose algorithms go-jose supports. It returns these algorithms and the others.
func verify(keys jose.JSONWebKeySet, tokens []token, expected jwt.Expected) (verified, unknown []string) {
	expected.Time = time.Now()
	for _, one := range tokens {
		if !slices.Contains(minimum, one.algorithm) && !knows(keys, one.algorithm) {
			unknown = append(unknown, one.algorithm)
			continue
		}
		check(keys, one.algorithm, one.text, expected)
		verified = append(verified, one.algorithm)
	}
	for _, algorithm := range minimum {
		if !slices.Contains(verified, algorithm) {
			fail("go-jose should have verified ", algorithm)
		}
	}
	return verified, unknown
}

// fetch gets the keys of the set, and tells whether go-jose reads the set as a whole. RFC 7517 section 5 wants unknown
// kinds of keys to be passed over; go-jose gives up at the first one, so that it is given each key by itself then.
func fetch(url string) (jose.JSONWebKeySet, bool) {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		fail(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		fail("the JWK set answers ", response.Status)
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		fail(err)
	}
	var set jose.JSONWebKeySet
	whole := true
	for _, text := range document.Keys {
		var key jose.JSONWebKey
		switch err := key.UnmarshalJSON(text); {
		case err == nil:
			set.Keys = append(set.Keys, key)
		case errors.Is(err, jose.ErrUnsupportedKeyType):
			whole = false
		default:
			fail(err)
		}
	}
	return set, whole
}

func knows(set jose.JSONWebKeySet, algorithm string) bool {
	return slices.ContainsFunc(set.Keys, func(key jose.JSONWebKey) bool { return key.Algorithm == algorithm })
}

func check(set jose.JSONWebKeySet, algorithm, token string, expected jwt.Expected) {
	signer := func(text string, claims ...any) error {
		parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
		if err != nil {
			return err
		}
		return parsed.Claims(set, claims...)
	}
	var claims jwt.Claims
	if err := signer(token, &claims); err != nil {
		fail(algorithm, ": ", err)
	}
	if claims.Subject != "alice" || claims.ID == "" || claims.Expiry == nil {
		fail(algorithm, ": other claims: ", claims)
	}
	valid := func(change func(*jwt.Expected)) error {
		changed := expected
		change(&changed)
		return claims.ValidateWithLeeway(changed, 0)
	}
	if err := valid(func(*jwt.Expected) {}); err != nil {
		fail(algorithm, ": ", err)
	}
	refused(algorithm, jwt.ErrInvalidAudience, valid(func(e *jwt.Expected) { e.AnyAudience = jwt.Audience{"other"} }))
	refused(algorithm, jwt.ErrInvalidIssuer, valid(func(e *jwt.Expected) { e.Issuer += "x" }))
	refused(algorithm, jwt.ErrExpired, valid(func(e *jwt.Expected) { e.Time = e.Time.Add(later) }))
	refused(algorithm, jose.ErrCryptoFailure, signer(tampered(token), &jwt.Claims{}))
}

// tampered changes one character within the signature.
func tampered(token string) string {
	at := strings.LastIndexByte(token, '.') + 11
	other := "A"
	if token[at] == 'A' {
		other = "B"
	}
	return token[:at] + other + token[at+1:]
}

func refused(algorithm string, expected, err error) {
	if !errors.Is(err, expected) {
		fail(algorithm, ": go-jose did not reject the token: ", expected, ", not: ", err)
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/go-jose/go-jose/v4" {
				return module.Version
			}
		}
	}
	return "?"
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none other"
	}
	return strings.Join(names, " ")
}

func fail(words ...any) {
	fmt.Fprintln(os.Stderr, fmt.Sprint(words...))
	os.Exit(1)
}
