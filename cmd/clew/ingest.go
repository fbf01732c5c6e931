package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/client"
	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/ingest"
)

type ingestOptions struct {
	format, data, url, output, rejects string
	strict                             bool
}

func ingestCommand(s streams) *cobra.Command {
	var o ingestOptions
	c := &cobra.Command{
		Use:   "ingest FILE… {--data DIR | --url URL}",
		Short: "Read alerts and assets from files into a store or a running service",
		Long: "Read alerts and assets from files (JSON, NDJSON, a JSON array or an OData page, gzip or not; - is\n" +
			"standard input) into an embedded store or a running service. The same file twice adds nothing.\n\n" +
			"Formats: " + formatNames() + ". A record that cannot be taken is named with file, line and reason and\n" +
			"goes to the reject file; the rest goes in.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error { return runIngest(c.Context(), s, o, files) },
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", ingest.Auto, "format of the files: "+formatNames())
	f.StringVar(&o.data, "data", "", "directory of the embedded store; made if it is not there")
	f.StringVar(&o.url, "url", "", "address of a running service, such as http://127.0.0.1:8080")
	f.StringVarP(&o.output, "output", "o", "text", "how to print the summary: text or json")
	f.StringVar(&o.rejects, "rejects", "rejects.ndjson", "file for records that cannot be taken; made when there is one")
	f.BoolVar(&o.strict, "strict", false, "stop at the first record that cannot be taken")
	return c
}

func formatNames() string {
	return strings.Join(slices.Sorted(maps.Keys(ingest.Formats())), ", ")
}

func (o ingestOptions) check() error {
	_, known := ingest.Formats()[o.format]
	switch {
	case (o.data == "") == (o.url == ""):
		return errors.New("give either --data DIR or --url URL")
	case !known:
		return fmt.Errorf("no format %q: use %s", o.format, formatNames())
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("-o %q: use text or json", o.output)
	case o.url != "" && o.strict:
		return errors.New("--strict needs --data: a service takes what it can and names the rest")
	}
	return nil
}

func runIngest(ctx context.Context, s streams, o ingestOptions, files []string) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	inputs, total, closeAll, err := openInputs(s.in, files)
	if err != nil {
		return err
	}
	defer closeAll()
	run := ingestInto
	if o.url != "" {
		run = ingestOver
	}
	bar := newProgress(s.err, "Reading", total)
	rejects := &rejectFile{path: o.rejects, terminal: s.err, before: bar.clear}
	summary, err := run(ctx, o, inputs, rejects, bar)
	bar.done()
	if closeErr := rejects.close(); err == nil {
		err = closeErr
	}
	if printErr := printSummary(s.out, o.output, summary); err == nil {
		err = printErr
	}
	return err
}

// openInputs opens every file before anything is read, so that a wrong name costs nothing.
func openInputs(stdin io.Reader, files []string) (inputs []ingest.Input, total int64, closeAll func(), err error) {
	var opened []*os.File
	closeAll = func() {
		for _, f := range opened {
			_ = f.Close() // only read
		}
	}
	for _, name := range files {
		if name == "-" {
			inputs = append(inputs, ingest.Input{Name: "stdin", Reader: stdin})
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, 0, nil, err
		}
		opened = append(opened, f)
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a directory: name its files", name)
		}
		if err != nil {
			closeAll()
			return nil, 0, nil, err
		}
		total += info.Size()
		inputs = append(inputs, ingest.Input{Name: name, Reader: f})
	}
	return inputs, total, closeAll, nil
}

func ingestInto(ctx context.Context, o ingestOptions, inputs []ingest.Input, rejects io.Writer, bar *progress) (ingest.Summary, error) {
	store, err := openStore(o.data)
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
func ingestOver(ctx context.Context, o ingestOptions, inputs []ingest.Input, rejects io.Writer, bar *progress) (ingest.Summary, error) {
	c, sum := &client.Client{Base: o.url}, ingest.Summary{}
	for _, in := range inputs {
		result, err := c.Ingest(ctx, o.format, &meter{Reader: in.Reader, bar: bar})
		sum = addSummaries(sum, ingest.Summary(result.Summary))
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

func printSummary(w io.Writer, how string, s ingest.Summary) error {
	if how == "json" {
		return json.NewEncoder(w).Encode(s)
	}
	text := fmt.Sprintf("%d records read: %d alerts, %d entities, %d edges new; %d updated; %d duplicates; %d rejected",
		s.Read, s.Alerts, s.Entities, s.Edges, s.Updated, s.Duplicates, s.Rejected)
	if s.Read > 0 && s.Alerts+s.Entities+s.Edges+s.Updated+s.Rejected == 0 {
		text += ". Nothing new: all of it was known"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// rejectFile names each reject on the terminal and keeps it whole in a file, which is made for the first.
type rejectFile struct {
	path     string
	terminal io.Writer
	before   func()
	file     *os.File
	count    int
}

// maxNamed bounds the rejects named on the terminal; the file has all.
const maxNamed = 20

// Write takes one reject.
func (f *rejectFile) Write(line []byte) (int, error) {
	if f.file == nil {
		file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	var r ingest.Reject
	if err := json.Unmarshal(line, &r); err != nil {
		return 0, err
	}
	if f.count++; f.count <= maxNamed {
		f.before()
		fmt.Fprintf(f.terminal, "%s:%d: %s\n", r.File, r.Line, r.Reason)
	}
	return f.file.Write(line)
}

func (f *rejectFile) close() error {
	if f.file == nil {
		return nil
	}
	if f.count > maxNamed {
		fmt.Fprintf(f.terminal, "… and %d more\n", f.count-maxNamed)
	}
	fmt.Fprintf(f.terminal, "rejected records are in %s\n", f.path)
	return f.file.Close()
}
