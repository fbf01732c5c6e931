// Command fetch brings Neo4j into the user's cache, so that tests need no network.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/clew-security/clew/internal/realserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := realserver.InstallNeo4j(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(dir)
}
