package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clew-security/clew/graph"
)

// A Redis that refuses every command at once was asked thousands of times a second.
func TestHintsLeaveARedisThatRefusesAlone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var connections atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer c.Close()
				for b := make([]byte, 4096); ; {
					if _, err := c.Read(b); err != nil {
						return
					}
					if _, err := c.Write([]byte("-WRONGPASS invalid username-password pair or user is disabled.\r\n")); err != nil {
						return
					}
				}
			}()
		}
	}()
	client := redis.NewClient(&redis.Options{Addr: l.Addr().String(), Password: "wrong"})
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), hintRest+hintRest/2)
	defer cancel()
	began := time.Now()
	var told bytes.Buffer
	heedHints(ctx, client, slog.New(slog.NewTextHandler(&told, nil)), func(graph.TenantID) { t.Error("moved") })
	if n := connections.Load(); n == 0 || n > 20 {
		t.Errorf("%d connections in %v", n, time.Since(began))
	}
	if n := strings.Count(told.String(), "WRONGPASS"); n != 1 {
		t.Errorf("the log tells it %d times:\n%s", n, &told)
	}
}
