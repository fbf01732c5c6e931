package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/internal/config"
)

type healthOptions struct {
	url, config string
	timeout     time.Duration
}

func healthCommand(s streams) *cobra.Command {
	var o healthOptions
	c := &cobra.Command{
		Use:   "health [--url URL | --config FILE]",
		Short: "Ask a service whether it is ready",
		Long: "Ask a service whether it is ready, for health checks of containers, which need no other program then.\n\n" +
			"The exit code is 0 where it is ready and 1 where it is not or does not answer.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return health(c.Context(), s, o) },
	}
	configFlag(c, &o.config)
	c.Flags().StringVar(&o.url, "url", "", "address of the service (default: what the configuration has it listen on)")
	c.Flags().DurationVar(&o.timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	return c
}

func health(ctx context.Context, s streams, o healthOptions) error {
	address, err := o.address()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := askReady(ctx, address); err != nil {
		return fmt.Errorf("the service is not ready: %w", err)
	}
	_, err = fmt.Fprintln(s.out, "ready")
	return err
}

func (o healthOptions) address() (string, error) {
	if o.timeout <= 0 {
		return "", usageError{errors.New("--timeout must be longer than nothing")}
	}
	if o.url != "" {
		if err := checkAddress(o.url); err != nil {
			return "", usageError{err}
		}
		return o.url, nil
	}
	loaded, err := config.Load(config.Options{File: o.config}) // its warnings belong to the service, not to every check
	if err != nil {
		return "", usageError{errors.New("the configuration cannot be used ('clew config check' tells why): give --url URL")}
	}
	address, known := loaded.Config.LocalURL()
	if !known {
		return "", usageError{errors.New("the service picks a free port: give --url URL")}
	}
	return address, nil
}

// askReady asks once, past any proxy and redirect: another server's answer says nothing about this one.
func askReady(ctx context.Context, address string) error {
	target, err := url.JoinPath(address, "readyz")
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return nil
}
