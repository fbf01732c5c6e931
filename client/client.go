// Package client is the typed Go client of a Clew service. It stands on the standard library alone.
package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Client calls one service. It is safe for concurrent use.
type Client struct {
	// Base is the service's address, such as http://127.0.0.1:8080.
	Base string
	// HTTP makes the calls; http.DefaultClient where nil.
	HTTP *http.Client
}

// Summary counts what an import did; the fields are those of the service's answer.
type Summary struct {
	Read       int `json:"read"`
	Alerts     int `json:"alerts"`
	Entities   int `json:"entities"`
	Edges      int `json:"edges"`
	Updated    int `json:"updated"`
	Duplicates int `json:"duplicates"`
	Rejected   int `json:"rejected"`
}

// Reject is one record that the service did not take.
type Reject struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// Result is the answer to an import that was carried out: all that it counts is durable.
type Result struct {
	Summary
	// Errors are the first rejects, at most 100.
	Errors []Reject `json:"errors"`
}

// Error is an answer other than success.
type Error struct {
	Status  int
	Message string
}

// Error names the status and what the service said.
func (e *Error) Error() string {
	return fmt.Sprintf("the service answered %d %s: %s", e.Status, http.StatusText(e.Status), e.Message)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// Ingest streams a file (JSON, NDJSON or gzip of either) in a format ("auto" where unsure). What was sent
// before an error may be in the service; sending the file again is harmless. The error is an *Error where
// the service answered.
func (c *Client) Ingest(ctx context.Context, format string, file io.Reader) (Result, error) {
	target, err := url.JoinPath(c.Base, "ingest", url.PathEscape(format))
	if err != nil {
		return Result{}, fmt.Errorf("address %q: %w", c.Base, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, file)
	if err != nil {
		return Result{}, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.client().Do(req)
	if err != nil {
		return Result{}, err
	}
	defer resp.Body.Close()
	return readResult(resp)
}

func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return http.DefaultClient
}

func readResult(resp *http.Response) (Result, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Result{}, fmt.Errorf("reading the answer: %w", err)
	}
	var answer struct {
		Result
		Error struct{ Message string } `json:"error"`
	}
	err = json.Unmarshal(body, &answer)
	switch {
	case resp.StatusCode != http.StatusAccepted:
		message := answer.Error.Message
		if message == "" {
			message = strings.ToValidUTF8(string(body[:min(len(body), 200)]), "?")
		}
		return answer.Result, &Error{resp.StatusCode, message}
	case err != nil:
		return Result{}, fmt.Errorf("the answer is not what a Clew service gives: %w", err)
	}
	return answer.Result, nil
}
