package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/client"
	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/ingest"
)

type ingestOptions struct {
	target
	format, url, output, rejects string
	strict                       bool
}

func ingestCommand(s streams) *cobra.Command {
	var o ingestOptions
	c := &cobra.Command{
		Use:   "ingest FILE… {--data DIR | --config FILE | --url URL}",
		Short: "Read alerts and assets from files into a store or a running service",
		Long: "Read alerts and assets from files (JSON, NDJSON, a JSON array or an OData page, gzip, zstd or not; - is\n" +
			"standard input) into a store or a running service. The same file twice adds nothing.\n\n" +
			"Formats: " + formatNames() + ". A record that cannot be taken is named with file, line and reason and\n" +
			"goes to the reject file; the rest goes in. A reject file, mended or not, can be read again (format auto).\n\n" +
			"The exit code is 0 even where records were rejected; it is 1 with --strict at the first reject, and\n" +
			"where nothing at all could be taken.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error { return runIngest(c.Context(), s, o, files) },
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", ingest.Auto, "format of the files: "+formatNames())
	o.target.flags(c)
	f.StringVar(&o.url, "url", "", "address of a running service, such as http://127.0.0.1:8080")
	f.StringVarP(&o.output, "output", "o", "text", "how to print the summary: text or json")
	f.StringVar(&o.rejects, "rejects", "", "file for records that cannot be taken, made or replaced when there is one\n"+
		"(default rejects.ndjson, or rejects-2.ndjson and so on where that exists)")
	f.BoolVar(&o.strict, "strict", false, "stop at the first record that cannot be taken")
	return c
}

func formatNames() string {
	return strings.Join(slices.Sorted(maps.Keys(ingest.Formats())), ", ")
}

func (o ingestOptions) check() error {
	_, known := ingest.Formats()[o.format]
	switch {
	case (o.data == "" && o.config == "") == (o.url == ""):
		return errors.New("give either --data DIR or --url URL, or --config FILE for the configured store")
	case !known:
		return fmt.Errorf("no format %q: use %s", o.format, formatNames())
	case o.url != "" && o.strict:
		return errors.New("--strict needs a store: a service takes what it can and names the rest")
	}
	return cmp.Or(checkOutput(o.output), checkAddress(o.url))
}

func checkAddress(address string) error {
	if address == "" {
		return nil
	}
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		return fmt.Errorf("--url %q: add http://, as in http://%s", address, address)
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" {
		return fmt.Errorf("--url %q is no address: want one such as http://127.0.0.1:8080", address)
	}
	return nil
}

func runIngest(ctx context.Context, s streams, o ingestOptions, files []string) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	inputs, total, closeAll, err := openInputs(ctx, s.in, files)
	if err != nil {
		return err
	}
	defer closeAll()
	bar := newProgress(s.err, "Reading", total)
	rejects := &rejectFile{path: o.rejects, terminal: s.err, before: bar.clear}
	if err := rejects.check(s.in, files); err != nil {
		return err
	}
	run := ingestInto
	if o.url != "" {
		run = ingestOver
	}
	summary, err := run(ctx, s, o, inputs, rejects, bar)
	bar.done()
	if closeErr := rejects.close(); err == nil {
		err = closeErr
	}
	if err != nil && summary.Read == 0 {
		return err
	}
	if printErr := printSummary(s.out, o.output, summary, err == nil); err == nil {
		err = printErr
	}
	if err == nil && summary.Rejected > 0 && nothingTaken(summary) {
		err = errors.New("nothing could be taken")
	}
	return err
}

func nothingTaken(s ingest.Summary) bool {
	return s.Alerts+s.Entities+s.Edges+s.Updated+s.Duplicates == 0
}

func ingestInto(ctx context.Context, s streams, o ingestOptions, inputs []ingest.Input, rejects io.Writer, bar *progress) (ingest.Summary, error) {
	store, err := o.open(ctx, s)
	if err != nil {
		return ingest.Summary{}, err
	}
	p := ingest.Pipeline{
		Store: store, Tenant: devTenant, Decode: ingest.Formats()[o.format],
		Decide: correlate.New(correlate.DefaultSettings()), Actor: "cli", Cause: "clew ingest",
		Strict: o.strict, Rejects: rejects, Progress: bar.show,
	}
	summary, err := p.Run(ctx, inputs...)
	return summary, errors.Join(err, store.Close())
}

// ingestOver sends the files to a service, one request each.
func ingestOver(ctx context.Context, _ streams, o ingestOptions, inputs []ingest.Input, rejects io.Writer, bar *progress) (ingest.Summary, error) {
	c, sum := &client.Client{Base: o.url}, ingest.Summary{}
	for _, in := range inputs {
		result, err := c.Ingest(ctx, o.format, &meter{Reader: in.Reader, bar: bar})
		sum = addSummaries(sum, ingest.Summary(result.Summary))
		if more := result.Rejected - len(result.Errors); more > 0 {
			bar.clear()
			fmt.Fprintf(bar.out, "%s: %d more records were rejected; the service does not list them\n", plain(in.Name), more)
		}
		for _, r := range result.Errors {
			line, _ := json.Marshal(ingest.Reject{File: in.Name, Line: r.Line, Reason: r.Reason, Record: json.RawMessage("null")})
			if _, err := rejects.Write(append(line, '\n')); err != nil {
				return sum, err
			}
		}
		if err != nil {
			return sum, fmt.Errorf("%s: %w", in.Name, err)
		}
	}
	return sum, nil
}

func addSummaries(a, b ingest.Summary) ingest.Summary {
	return ingest.Summary{
		Read: a.Read + b.Read, Alerts: a.Alerts + b.Alerts, Entities: a.Entities + b.Entities, Edges: a.Edges + b.Edges,
		Updated: a.Updated + b.Updated, Duplicates: a.Duplicates + b.Duplicates, Rejected: a.Rejected + b.Rejected,
	}
}

// printSummary says what went in. What that means of the whole input is only told where all of it was read.
func printSummary(w io.Writer, how string, s ingest.Summary, whole bool) error {
	if how == "json" {
		return json.NewEncoder(w).Encode(s)
	}
	text := fmt.Sprintf("%d records read: %d alerts, %d entities, %d edges new; %d updated; %d duplicates; %d rejected",
		s.Read, s.Alerts, s.Entities, s.Edges, s.Updated, s.Duplicates, s.Rejected)
	switch {
	case !whole:
	case s.Read == 0:
		text += ". There was nothing to read: the input has no records"
	case s.Alerts+s.Entities+s.Edges+s.Updated+s.Rejected == 0:
		text += ". Nothing new: all of it was known"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// rejectFile names each reject on the terminal and keeps it whole in a file, which is made for the first.
type rejectFile struct {
	// path as the flag has it; empty for a name that is free.
	path     string
	terminal io.Writer
	before   func()
	file     *os.File
	count    int
}

// maxNamed bounds the rejects named on the terminal; the file has all.
const maxNamed = 20

// check refuses, before anything is read, a reject file that is an input or that cannot be written.
func (f *rejectFile) check(stdin io.Reader, inputs []string) error {
	dir := filepath.Dir(f.path)
	if info, err := os.Stat(f.path); f.path != "" && err == nil {
		if name, is := amongInputs(info, stdin, inputs); is {
			return usageError{fmt.Errorf("--rejects %s is the input %s itself and would overwrite it: name another file", f.path, name)}
		}
		return f.named(writable(f.path, info))
	}
	probe, err := os.CreateTemp(dir, ".clew-rejects-")
	if err != nil {
		return f.named(err)
	}
	return f.named(errors.Join(probe.Close(), os.Remove(probe.Name())))
}

func amongInputs(rejects fs.FileInfo, stdin io.Reader, inputs []string) (name string, is bool) {
	for _, name := range inputs {
		info, err := os.Stat(name)
		if in, ok := stdin.(*os.File); name == "-" && ok {
			info, err = in.Stat()
		}
		if err == nil && info.Mode().IsRegular() && os.SameFile(info, rejects) {
			return name, true
		}
	}
	return "", false
}

// writable tries a regular file; to open another, such as a pipe, may block.
func writable(path string, info fs.FileInfo) error {
	if info.IsDir() {
		return fmt.Errorf("%s is a directory", path)
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return file.Close()
}

// named says which flag helps.
func (f *rejectFile) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot write the reject file: %w; name another with --rejects FILE", err)
}

// Write takes one reject.
func (f *rejectFile) Write(line []byte) (int, error) {
	if err := f.open(); err != nil {
		return 0, f.named(err)
	}
	var r ingest.Reject
	if err := json.Unmarshal(line, &r); err != nil {
		return 0, err
	}
	if f.count++; f.count <= maxNamed {
		f.before()
		fmt.Fprintf(f.terminal, "%s: %s\n", plain(r.Place()), plain(r.Reason))
	}
	n, err := f.file.Write(line)
	return n, f.named(err)
}

func (f *rejectFile) open() (err error) {
	if f.file != nil {
		return nil
	}
	if f.path != "" {
		f.file, err = os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		return err
	}
	for n := 1; ; n++ {
		name := "rejects.ndjson"
		if n > 1 {
			name = fmt.Sprintf("rejects-%d.ndjson", n)
		}
		f.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

func (f *rejectFile) close() error {
	if f.file == nil {
		return nil
	}
	if f.count > maxNamed {
		fmt.Fprintf(f.terminal, "… and %d more\n", f.count-maxNamed)
	}
	fmt.Fprintf(f.terminal, "rejected records are in %s\n", plain(f.file.Name()))
	return f.named(f.file.Close())
}
