package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/internal/config"
)

// devTenant is the one tenant of a service without tokens.
const devTenant graph.TenantID = "default"

type serveOptions struct {
	target
	dev    bool
	listen string
}

func serveCommand(s streams) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve --dev {--data DIR | --config FILE} [--listen ADDRESS]",
		Short: "Serve the GraphQL API, the explorer and ingest over HTTP",
		Long: "Serve the GraphQL API, the explorer and ingest over HTTP.\n\n" +
			"Only the development mode exists so far: with --dev nobody is asked for a token, there is one tenant,\n" +
			"and the service listens on loopback addresses only.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return serve(c.Context(), s, o, changedFlags(c, map[string]string{"listen": "listen"}))
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&o.dev, "dev", false, "development mode: no tokens, one tenant, loopback only")
	c.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on; port 0 picks a free one")
	return c
}

func serve(ctx context.Context, s streams, o serveOptions, flags []config.Override) error {
	if !o.dev {
		return usageError{errors.New("a service that others reach needs tokens, and these do not exist yet: " +
			"run 'clew serve --dev' on this machine only")}
	}
	c, err := o.load(s, flags...)
	if err != nil {
		return err
	}
	listener, err := listenLoopback(c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	log := slog.New(c.Log.Handler(s.err))
	a, err := assemble(ctx, c, log)
	if err != nil {
		return err
	}
	printAddresses(s.out, listener.Addr())
	return errors.Join(serveHTTP(ctx, listener, a.handler(), log), a.close())
}

// listenLoopback listens on a loopback address and refuses every other: without tokens whoever reaches the
// port may read and write everything.
func listenLoopback(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError{fmt.Errorf("--listen %q is no address: want HOST:PORT, such as 127.0.0.1:8080", address)}
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, usageError{fmt.Errorf("--listen %q is not a loopback address: without tokens the service must not be "+
			"reachable from outside; use 127.0.0.1, [::1] or localhost", address)}
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another program: choose another with --listen, for example --listen %s",
			address, net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return l, nil
}

// Timeouts of the HTTP server. Reading and writing bodies have none here: an import may take long; each handler
// bounds its own.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 10 * time.Second
)

// serveHTTP serves until ctx ends, then lets requests in flight finish for stopTimeout.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	return serveUntil(ctx, l, h, log, stopTimeout)
}

// serveUntil serves until ctx ends, which is no error. What is then in flight may finish for a while; what is left
// has its context ended and its connection closed.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, patience time.Duration) error {
	requests, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return requests },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Shutdown(stopping); err == nil {
		return nil
	}
	log.Warn("stopping: requests were cut short", "after", patience)
	giveUp()
	_ = server.Close() // the listener is closed already, and of connections nobody waits for the error
	return nil
}
