// Command clew runs the service, feeds it and shows what it found.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted, 141 nobody reads the output any more.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
	exitPipe        = 141
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

// run carries out one command line. The first signal asks everything to stop, so that temporary stores go; a
// second interrupt kills.
func run(args []string, s streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), heeded()...)
	defer stop()
	ended := context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP) // a terminal that closes sends it more than once
		stop()
	})
	defer ended() // a run that ended by itself leaves the process's signals, and its children's, as they were
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pipe := &brokenPipe{stop: cancel}
	s = streams{s.in, pipe.watch(s.out), pipe.watch(s.err)}
	root := rootCommand(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if pipe.broken.Load() {
		return exitPipe
	}
	return exitCode(ctx, s, err)
}

// heeded are the signals that stop the program. Those that whoever started it had it ignore (nohup) stay so.
func heeded() []os.Signal {
	// A write to a closed pipe is an error like others, so that what is deferred still runs.
	signal.Ignore(syscall.SIGPIPE)
	return append(slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGHUP}, signal.Ignored), syscall.SIGTERM)
}

// exitCode tells the error. It may quote what stood in a file.
func exitCode(ctx context.Context, s streams, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(s.err, "clew: interrupted")
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "clew: %s\nRun 'clew --help' for how it is called.\n", plain(err.Error()))
		return exitUsage
	}
	fmt.Fprintf(s.err, "clew: %s\n", plain(err.Error()))
	return exitFailed
}

// brokenPipe stops the program when whoever reads its output has gone.
type brokenPipe struct {
	stop   func()
	broken atomic.Bool
}

// watch leaves a terminal as it is: it is known by its type, and has SIGHUP.
func (p *brokenPipe) watch(w io.Writer) io.Writer {
	if isTerminal(w) {
		return w
	}
	return pipeWriter{w, p}
}

type pipeWriter struct {
	io.Writer
	pipe *brokenPipe
}

// Write stops the program where nobody reads any more.
func (w pipeWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		w.pipe.broken.Store(true)
		w.pipe.stop()
	}
	return n, err
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
	root.AddCommand(demoCommand(s), serveCommand(s), ingestCommand(s), evalCommand(s), scenarioCommand(s), exportCommand(s), importCommand(s), pruneCommand(s), backupCommand(s), restoreCommand(s), checkCommand(s), statsCommand(s),
		migrateCommand(s), configCommand(s), healthCommand(s), versionCommand(s))
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
