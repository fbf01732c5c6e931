package realserver

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// errEnded: the process ended before it could be used.
var errEnded = errors.New("the server ended by itself")

// child is one started process.
type child struct {
	cmd *exec.Cmd
	// done is closed when it has ended; err is valid after that.
	done chan struct{}
	err  error
}

// spawn starts the process with its output in the file console. Linux kills it when the thread that started it
// ends, so one goroutine keeps that thread for the whole life of the process.
func spawn(cmd *exec.Cmd, console string) (*child, error) {
	log, err := os.OpenFile(console, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	dieWithParent(cmd)
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	return c, <-started
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// stop asks the process to end, and insists after stopLimit.
func (c *child) stop() error {
	if err := c.signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, c.kill())
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("it did not end within %v", stopLimit), c.kill())
	}
}

// kill ends the process at once and waits until it is gone.
func (c *child) kill() error {
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-c.done
	return nil
}

func (c *child) signal(s os.Signal) error {
	if err := c.cmd.Process.Signal(s); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// freePort finds a port below those that systems hand out for outgoing connections, so that it is still free
// when the server, or its restart, binds it.
func freePort() (int, error) {
	var last error
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("no free port: %w", last)
}

// tail is the end of a log, for an error's text.
func tail(path string) []byte {
	const most = 4000
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(b[max(0, len(b)-most):])
}
