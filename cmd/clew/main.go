// Command clew runs the service, feeds it and shows what it found.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are the process's, or a test's.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError is an error in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run carries out one command line. The first interrupt asks everything to stop; the second one kills.
func run(args []string, s streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := rootCommand(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(s.err, "clew: interrupted")
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "clew: %v\nRun 'clew --help' for how it is called.\n", err)
		return exitUsage
	}
	fmt.Fprintf(s.err, "clew: %v\n", err)
	return exitFailed
}

func rootCommand(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "clew",
		Short: "Graph-backed security investigation",
		Long: "Clew ties alerts and assets from many security products into one entity graph and follows the thread:\n" +
			"what happened, how far it reaches, what to do.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(demoCommand(s), serveCommand(s), ingestCommand(s), evalCommand(s), scenarioCommand(s), versionCommand(s))
	asUsage(root)
	return root
}

// asUsage marks wrong flags and arguments of every command as errors of usage.
func asUsage(c *cobra.Command) {
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		asUsage(sub)
	}
}
