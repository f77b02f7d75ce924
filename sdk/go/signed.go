package tercet

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	// signatureGoodFor is how long before and after its timestamp a signature is good.
	signatureGoodFor = 5 * 60
	// mostSignatures are looked at in one header; a sender that changes its keys sends two or three.
	mostSignatures = 16
)

// errNoSecret does not say the text: that may be nearly one.
var errNoSecret = errors.New("a secret must be whsec_ and then 24 to 64 random bytes in base64")

// secretKey is what is signed with. Its bytes lie in a function, since fmt prints fields.
type secretKey func() []byte

func parseSecret(text string) (secretKey, error) {
	encoded, hasPrefix := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !hasPrefix || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errNoSecret
	}
	return func() []byte { return key }, nil
}

func (k secretKey) mac(id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, k())
	_, _ = fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}

// SignedCalls lets through only what is signed by one of these secrets (whsec_…), as Standard Webhooks says. Give the coordinator
// the same secret for this service's host and port ([[participants.signing]]), and put it around the participant's handler:
//
//	signed, err := tercet.SignedCalls(secret)
//	mux.Handle("/payment/", signed(tercet.NewHandler(guard, payment)))
//
// What is not signed, not around now, or not for this call is answered 401, before anything parses its body. Without secrets
// nobody is let through. To change a secret without a gap, give the new one to the participants beside the old one, then to
// the coordinator as its first, then take the old one from the participants.
func SignedCalls(secrets ...string) (func(http.Handler) http.Handler, error) {
	verifier := &verifier{now: time.Now}
	for _, secret := range secrets {
		key, err := parseSecret(secret)
		if err != nil {
			return nil, err
		}
		verifier.keys = append(verifier.keys, key)
	}
	return verifier.around, nil
}

type verifier struct {
	keys []secretKey
	now  func() time.Time
}

func (v *verifier) around(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last := path.Base(r.URL.Path)
		// What costs nothing comes first: a stranger's body is not even read.
		signed, err := v.readSigned(last, r.Header)
		if err != nil {
			unsigned(r.Context(), err).write(w)
			return
		}
		body, refusal := readBody(w, r, bodyLimit)
		if refusal != nil {
			refusal.write(w)
			return
		}
		if !v.isByAny(signed, body) {
			err := fmt.Errorf("header %s has no signature by a secret that is known here", strings.ToLower(headerWebhookSign))
			unsigned(r.Context(), err).write(w)
			return
		}
		r = r.WithContext(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		inner.ServeHTTP(w, r)
	})
}

func unsigned(ctx context.Context, why error) response {
	slog.WarnContext(ctx, "a call that is not signed as it must be", "why", why)
	return problemResponse(http.StatusUnauthorized, "unsigned", why.Error())
}

// signature is what came with a call by which it is known whose it is.
type signature struct{ id, timestamp, signatures string }

// readSigned checks everything but the signature itself. Only the id is under the signature: what the other headers say of the
// call, and the URL, must be what it says.
func (v *verifier) readSigned(last string, header http.Header) (signature, error) {
	var signed signature
	for _, each := range []struct {
		name string
		into *string
	}{{headerWebhookID, &signed.id}, {headerWebhookTime, &signed.timestamp}, {headerWebhookSign, &signed.signatures}} {
		text, found, err := only(header, each.name)
		if err != nil || !found {
			return signed, fmt.Errorf("header %s is missing", strings.ToLower(each.name))
		}
		*each.into = text
	}
	at, err := strconv.ParseInt(signed.timestamp, 10, 62)
	if off := v.now().Unix() - at; err != nil || !isDigits(signed.timestamp) || off > signatureGoodFor || off < -signatureGoodFor {
		return signed, fmt.Errorf("header %s is more than five minutes off, or no time", strings.ToLower(headerWebhookTime))
	}
	op := last
	if last == "branches" {
		op = ""
	}
	if signed.id != callID(header, op) {
		return signed, fmt.Errorf("header %s is that of another call", strings.ToLower(headerWebhookID))
	}
	return signed, nil
}

// isByAny looks at each signature with each key, in constant time.
func (v *verifier) isByAny(signed signature, body []byte) bool {
	texts := strings.Fields(signed.signatures)
	for _, text := range texts[:min(len(texts), mostSignatures)] {
		encoded, isVersion1 := strings.CutPrefix(text, "v1,")
		made, err := base64.StdEncoding.DecodeString(encoded)
		if !isVersion1 || err != nil {
			continue
		}
		for _, key := range v.keys {
			if hmac.Equal(made, key.mac(signed.id, signed.timestamp, body)) {
				return true
			}
		}
	}
	return false
}

// callID is the webhook-id of a call to the URL of op: gid, branch, op and instance with slashes between, an absent one empty.
// The parts of what is signed are told apart by dots, so a dot of a gid is written as %2E.
func callID(header http.Header, op string) string {
	given := func(name string) string {
		text, _, _ := only(header, name)
		return text
	}
	escape := strings.NewReplacer("%", "%25", ".", "%2E")
	parts := []string{given(headerGid), given(headerBranch), op, given(headerInstance)}
	for i, part := range parts {
		parts[i] = escape.Replace(part)
	}
	return strings.Join(parts, "/")
}

// sign adds what a call is signed by.
func sign(header http.Header, key secretKey, op Op, body []byte, now time.Time) {
	id, timestamp := callID(header, string(op)), strconv.FormatInt(now.Unix(), 10)
	header.Set(headerWebhookID, id)
	header.Set(headerWebhookTime, timestamp)
	header.Set(headerWebhookSign, "v1,"+base64.StdEncoding.EncodeToString(key.mac(id, timestamp, body)))
}
