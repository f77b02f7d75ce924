package tercet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// attempts is how often a request is made before it is given up: with the pauses, ten seconds or so of an absent coordinator
	// are bridged.
	attempts = 10
	// longestRetryAfter is the longest Retry-After that is honoured.
	longestRetryAfter = 10 * time.Second
	// connectTimeout is how long making a connection may take.
	connectTimeout = 2 * time.Second
	// answerMargin is how much longer than its wait an answer may take.
	answerMargin = 5 * time.Second
	// excerptRunes is how much of an unexpected body is kept.
	excerptRunes = 200
	// answerLimit is more than 64 branches with their results.
	answerLimit = 8 * 1024 * 1024
)

// between are the pauses between attempts.
var between = backoff{first: 100 * time.Millisecond, cap: 3 * time.Second}

// transport makes requests of one coordinator until they are answered.
type transport struct {
	http *http.Client
	// base has no slash at the end.
	base string
	// bearer is a function, since fmt prints fields. Nil: none.
	bearer func() string
	sleep  func(context.Context, time.Duration) error
}

// sent is what a request carries; the same to the byte each time it is made.
type sent struct {
	body        []byte
	traceparent string
}

// reply is an answer: not a 429, 502, 503 or 504.
type reply struct {
	status int
	body   []byte
}

// failed is an attempt after which the same request is made again, and the least pause before that.
type failed struct {
	why   string
	asked time.Duration
}

func newTransport(address string, settings *clientSettings) (*transport, error) {
	parsed, err := url.Parse(address)
	wrong := func(what string) error { return &InvalidError{"url", what} }
	switch {
	case err != nil:
		// The error has the URL in it, which may have a password in it.
		return nil, wrong("it is not the URL of a coordinator")
	case parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "":
		return nil, wrong("it must be an http or https URL")
	case parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return nil, wrong("it may have no user, query or fragment")
	}
	trust, err := settings.tls()
	if err != nil {
		return nil, err
	}
	bearer, err := settings.bearer()
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport: &http.Transport{
			// No proxy from the environment: Proxy stays nil.
			DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSClientConfig:     trust,
			TLSHandshakeTimeout: connectTimeout,
			ForceAttemptHTTP2:   true,
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	base := strings.TrimRight(parsed.String(), "/")
	return &transport{http: client, base: base, bearer: bearer, sleep: sleep}, nil
}

// ask makes a request until it is answered.
func (t *transport) ask(ctx context.Context, method, path, gid string, what sent, wait time.Duration) (*reply, error) {
	if !isHeaderValue(what.traceparent) {
		return nil, &InvalidError{"traceparent", "cannot be sent as a header"}
	}
	for attempt := 1; ; attempt++ {
		answer, failed := t.once(ctx, method, path, what, wait+answerMargin)
		if failed == nil {
			return answer, nil
		}
		if ctx.Err() == nil && attempt < attempts && t.sleep(ctx, between.pause(attempt, failed.asked)) == nil {
			continue
		}
		return nil, &UnansweredError{Gid: gid, Attempts: attempt, Last: failed.why, Err: ctx.Err()}
	}
}

// once asks once, and waits no longer than that for the answer.
func (t *transport) once(ctx context.Context, method, path string, what sent, patience time.Duration) (*reply, *failed) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, t.base+path, bytes.NewReader(what.body))
	if err != nil {
		return nil, &failed{why: err.Error()}
	}
	if t.bearer != nil {
		request.Header.Set("Authorization", t.bearer())
	}
	if what.body != nil {
		request.Header.Set(headerContentType, mediaTypeJSON)
	}
	if what.traceparent != "" {
		request.Header.Set(headerTraceparent, what.traceparent)
	}
	request.Header.Set("User-Agent", "tercet-go")
	response, err := t.http.Do(request)
	if err != nil {
		return nil, &failed{why: unwrapURL(err).Error()}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit+1))
	if err != nil {
		return nil, &failed{why: "the answer broke off: " + err.Error()}
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		asked, _ := parseRetryAfter(response.Header.Get(headerRetryAfter), time.Now())
		why := fmt.Sprintf("answered %d: %s", response.StatusCode, excerpt(body))
		return nil, &failed{why, min(asked, longestRetryAfter)}
	default:
		return &reply{response.StatusCode, body}, nil
	}
}

// unwrapURL takes away the URL, which says nothing that the caller does not know.
func unwrapURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// read gives the body of a success; a problem or something else is an error.
func (r *reply) read(into any) error {
	unexpected := &UnexpectedError{r.status, excerpt(r.body)}
	if r.status >= 200 && r.status <= 299 {
		if err := json.Unmarshal(r.body, into); err != nil {
			return unexpected
		}
		return nil
	}
	if problem := r.problem(); problem != nil {
		return problem
	}
	return unexpected
}

// problem is what the coordinator says is wrong; nil where it is not the coordinator who says so.
func (r *reply) problem() *ProblemError {
	var problem ProblemError
	if err := json.Unmarshal(r.body, &problem); err != nil || problem.Code == "" {
		return nil
	}
	problem.Status = r.status
	return &problem
}

// transaction reads one that must be that of this gid.
func (r *reply) transaction(gid string) (*TransactionView, error) {
	var view TransactionView
	if err := r.read(&view); err != nil {
		return nil, err
	}
	if view.Gid != gid || view.Status == "" {
		return nil, &UnexpectedError{r.status, excerpt(r.body)}
	}
	return &view, nil
}

func excerpt(body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), excerptRunes*utf8.UTFMax)]), "\ufffd")
	runes := []rune(text)
	return string(runes[:min(len(runes), excerptRunes)])
}

// tls says whom the client trusts, and who it says it is.
func (s *clientSettings) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(s.authorities) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		for _, pem := range s.authorities {
			if !pool.AppendCertsFromPEM(pem) {
				return nil, &InvalidError{"ca", "there must be certificates in it, in PEM"}
			}
		}
		config.RootCAs = pool
	}
	if s.identity != nil {
		pem := s.identity()
		certificate, err := tls.X509KeyPair(pem, pem)
		if err != nil {
			return nil, &InvalidError{"identity", "there must be a certificate and its key in it, in PEM"}
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// bearer is the header by which the client is known. What is wrong with a token is said without it.
func (s *clientSettings) bearer() (func() string, error) {
	if s.token == nil {
		return nil, nil
	}
	token := strings.TrimSpace(s.token())
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			token = ""
			break
		}
	}
	if token == "" {
		return nil, &InvalidError{"token", "must be one word of printable ASCII"}
	}
	return func() string { return "Bearer " + token }, nil
}
