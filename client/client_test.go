package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clew-security/clew/client"
)

// answering is a service that gives one answer and keeps what it was sent.
func answering(t *testing.T, status int, body string) (*client.Client, *string) {
	t.Helper()
	var sent string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + string(b)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return &client.Client{Base: s.URL + "/"}, &sent
}

func TestIngestSendsTheFileAndReadsTheCounts(t *testing.T) {
	c, sent := answering(t, 202, `{"read":2,"alerts":1,"rejected":1,"errors":[{"line":2,"reason":"no date"}]}`)
	got, err := c.Ingest(context.Background(), "auto", strings.NewReader("{}"))
	if err != nil || got.Read != 2 || got.Alerts != 1 || len(got.Errors) != 1 || got.Errors[0].Line != 2 {
		t.Errorf("%+v %v", got, err)
	}
	if *sent != "POST /ingest/auto application/octet-stream {}" {
		t.Errorf("sent %q", *sent)
	}
}

func TestAnAnswerOtherThanSuccessIsAnError(t *testing.T) {
	for name, x := range map[string]struct {
		status     int
		body, want string
	}{
		"the service's own":    {413, `{"read":3,"error":{"message":"too large"}}`, "413 Request Entity Too Large: too large"},
		"another program's":    {404, "no such page", "404 Not Found: no such page"},
		"one that is no UTF-8": {500, "\xff", "500 Internal Server Error: ?"},
		"success without JSON": {202, "<html>", "not what a Clew service gives"},
	} {
		c, _ := answering(t, x.status, x.body)
		_, err := c.Ingest(context.Background(), "auto", strings.NewReader("{}"))
		var answer *client.Error
		if err == nil || !strings.Contains(err.Error(), x.want) || errors.As(err, &answer) != (x.status != 202) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWrongAddressIsAnError(t *testing.T) {
	for _, base := range []string{"", "://", "ftp://127.0.0.1", "127.0.0.1:80"} {
		if _, err := (&client.Client{Base: base}).Ingest(context.Background(), "auto", strings.NewReader("")); err == nil {
			t.Errorf("%q is taken for an address", base)
		}
	}
}
