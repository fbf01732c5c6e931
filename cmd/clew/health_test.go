package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// ready is a service that answers /readyz with a status.
func ready(t *testing.T, status int) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/readyz" {
			status = http.StatusTeapot
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestHealthTellsWhetherTheServiceIsReady(t *testing.T) {
	for status, code := range map[int]int{http.StatusOK: 0, http.StatusServiceUnavailable: exitFailed, http.StatusFound: exitFailed} {
		s := ready(t, status)
		clew(t, t.TempDir(), "health", "--url", s.URL).want(t, code)
		clew(t, t.TempDir(), "health", "--url", s.URL+"/").want(t, code)
	}
}

func TestHealthAsksWhereTheServiceListens(t *testing.T) {
	s := ready(t, http.StatusOK)
	dir := t.TempDir()
	write(t, dir, "clew.yaml", "listen: "+s.Listener.Addr().String()+"\n")
	clew(t, dir, "health", "--config", "clew.yaml").want(t, 0, "ready\n")
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	t.Setenv("CLEW_LISTEN", ":"+port)
	clew(t, dir, "health").want(t, 0)
	t.Setenv("CLEW_LISTEN", "127.0.0.1:0")
	clew(t, dir, "health").want(t, exitUsage, "give --url URL")
	t.Setenv("CLEW_LISTEN", "nowhere")
	clew(t, dir, "health").want(t, exitUsage, "config check")
}

func TestHealthFailsWhereNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := "http://" + l.Addr().String()
	clew(t, t.TempDir(), "health", "--url", silent, "--timeout", "50ms").want(t, exitFailed, "not ready")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	clew(t, t.TempDir(), "health", "--url", silent).want(t, exitFailed, "not ready")
	for _, args := range [][]string{{"--url", "127.0.0.1"}, {"--timeout", "0s"}, {"--timeout", "3"}, {"x"}} {
		clew(t, t.TempDir(), append([]string{"health"}, args...)...).want(t, exitUsage)
	}
}

func TestHealthOfTheRealService(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "serve", "--dev", "--data", "store", "--listen", "127.0.0.1:0")
	clew(t, dir, "health", "--url", s.base).want(t, 0, "ready")
	s.stop(t)
	clew(t, dir, "health", "--url", s.base).want(t, exitFailed, "not ready")
}
