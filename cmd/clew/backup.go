package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/client"
	"github.com/clew-security/clew/graph/embedded"
)

// place is where a command finds the store: a directory or the service that has it open.
type place struct{ data, url string }

func (p *place) flags(c *cobra.Command) {
	c.Flags().StringVar(&p.data, "data", "", "directory of the embedded store")
	c.Flags().StringVar(&p.url, "url", "", "address of the service that has it open, such as http://127.0.0.1:8080")
}

func (p place) check() error {
	if (p.data == "") == (p.url == "") {
		return usageError{errors.New("give either --data DIR or, where a service has it open, --url URL")}
	}
	if err := checkAddress(p.url); err != nil {
		return usageError{err}
	}
	return nil
}

// administer asks a service; the body is the answer's and must be closed.
func administer(ctx context.Context, base, what string) (io.ReadCloser, error) {
	target, err := url.JoinPath(base, "admin", what)
	if err != nil {
		return nil, usageError{err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096)) // what is missing of an error is no error
	return nil, &client.Error{Status: answer.StatusCode, Message: messageOf(text)}
}

type backupOptions struct {
	place
	force bool
}

func backupCommand(s streams) *cobra.Command {
	var o backupOptions
	c := &cobra.Command{
		Use:   "backup FILE {--data DIR | --url URL}",
		Short: "Write everything the store holds into one file, also while it is served",
		Long: "Write everything the store holds, as of one instant, into one file (a tar with checksums; - is standard\n" +
			"output). A service goes on reading and writing meanwhile. 'clew restore' makes a store of it.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runBackup(c.Context(), s, o, args[0]) },
	}
	o.flags(c)
	c.Flags().BoolVar(&o.force, "force", false, "replace FILE where there is one")
	return c
}

func runBackup(ctx context.Context, s streams, o backupOptions, file string) error {
	if err := o.check(); err != nil {
		return err
	}
	if file == "-" {
		return o.write(ctx, s, s.out)
	}
	size, err := writeWhole(file, o.force, func(w io.Writer) error { return o.write(ctx, s, w) })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s: %.1f MB\n", plain(file), float64(size)/1e6)
	return err
}

// write writes the archive.
func (o backupOptions) write(ctx context.Context, s streams, w io.Writer) error {
	if o.url != "" {
		body, err := administer(ctx, o.url, "backup")
		if err != nil {
			return err
		}
		_, err = io.Copy(w, body)
		return errors.Join(err, body.Close())
	}
	store, err := openExisting(s.err, o.data, embedded.Options{})
	if err != nil {
		return err
	}
	return errors.Join(store.Backup(ctx, w), store.Close())
}

// writeWhole writes a file under a name of its own and gives it the one that was asked for when all is there and synced,
// so that two that are asked for one do not mix. A file that is there already is only replaced by force.
func writeWhole(name string, force bool, write func(io.Writer) error) (size int64, err error) {
	if err := checkReplaced(name, force); err != nil {
		return 0, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.partial")
	if err != nil {
		return 0, err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if info, statErr := f.Stat(); statErr == nil {
		size = info.Size()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = publish(f.Name(), name, force)
	}
	if err != nil {
		if gone := os.Remove(f.Name()); !errors.Is(gone, fs.ErrNotExist) { // it has the name that was asked for, and no other
			err = errors.Join(err, gone)
		}
		return 0, err
	}
	return size, syncDirectory(filepath.Dir(name))
}

// checkReplaced refuses what must not be replaced.
func checkReplaced(name string, force bool) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !force:
		return fmt.Errorf("%s is there already: name another file, or replace it with --force", name)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file and is not replaced: name another", name)
	}
	return nil
}

// publish gives a file its name. Where nothing may be replaced, one that came meanwhile is not.
func publish(partial, name string, force bool) error {
	if force {
		return os.Rename(partial, name)
	}
	err := os.Link(partial, name)
	if err == nil {
		return os.Remove(partial)
	}
	if again := checkReplaced(name, false); again != nil {
		return again
	}
	return os.Rename(partial, name) // of a file system without links
}

func syncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// messageOf is the text of a service's error.
func messageOf(body []byte) string {
	var answer struct {
		Error struct{ Message string } `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error.Message == "" {
		return plain(strings.TrimSpace(strings.ToValidUTF8(string(body[:min(len(body), 200)]), "?")))
	}
	return plain(answer.Error.Message)
}
