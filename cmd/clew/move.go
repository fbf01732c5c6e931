package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/archive"
	"github.com/clew-security/clew/graph/embedded"
)

type moveOptions struct {
	target
	tenant, output string
	// force and salvage are export's, abandon import's.
	force, salvage, abandon bool
}

func (o *moveOptions) flags(c *cobra.Command) {
	o.target.flags(c)
	c.Flags().StringVar(&o.tenant, "tenant", string(devTenant), "the tenant")
	c.Flags().StringVarP(&o.output, "output", "o", "text", "how to tell what was moved: text or json")
}

func exportCommand(s streams) *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use:   "export FILE {--data DIR | --config FILE} [--tenant NAME]",
		Short: "Write all that a store keeps of a tenant to a file",
		Long: "Write all that a store keeps of a tenant to a file, to be imported into another store of any kind: ids,\n" +
			"numbers, revisions and ticks stay. - is standard output; a name that ends in .gz is compressed. An embedded\n" +
			"store must not be open in a service; for that there is 'clew backup'.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, files []string) error { return runExport(c.Context(), s, o, files[0]) },
	}
	o.flags(c)
	c.Flags().BoolVar(&o.force, "force", false, "replace a file that exists")
	c.Flags().BoolVar(&o.salvage, "salvage", false, "open an embedded store that has damaged files: tenants that need none of them can be saved")
	return c
}

func importCommand(s streams) *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use:   "import {FILE | --abandon} {--data DIR | --config FILE} [--tenant NAME]",
		Short: "Read a tenant that was exported into a store",
		Long: "Read a tenant that 'clew export' wrote (- is standard input, compressed or not) into a store that has\n" +
			"nothing of that tenant, and compare what it then holds with what was read. Until it is done nothing of the\n" +
			"tenant can be read or written. An import that fails leaves nothing; one that was cut short is made again from\n" +
			"the beginning, or given up with --abandon.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			switch {
			case o.abandon == (len(files) == 1):
				return usageError{errors.New("name either a file or --abandon")}
			case o.abandon:
				return runAbandon(c.Context(), s, o)
			}
			named := c.Flags().Changed("tenant")
			return runImport(c.Context(), s, o, named, files[0])
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&o.abandon, "abandon", false, "remove what an import of the tenant left that was cut short")
	return c
}

// moved is what both commands tell.
type moved struct {
	Tenant graph.TenantID `json:"tenant"`
	archive.Summary
	Digest   string         `json:"digest"`
	Position graph.Position `json:"position"`
}

// tell prints the digest of the content beside that of the records: the first is the same for two stores of
// equal content however they came by it, the second only where nothing at all differs.
func tell(ctx context.Context, out io.Writer, form string, store graph.Store, m moved) (err error) {
	view := graph.View{Tenant: m.Tenant}
	if m.Digest, err = graph.Digest(ctx, store, view); err != nil {
		return err
	}
	if m.Position, err = store.Position(ctx, view); err != nil {
		return err
	}
	if form == "json" {
		return encodeJSON(out, m)
	}
	_, err = fmt.Fprintf(out, "tenant %s: %d records (%d entities, %d edges, %d alerts, %d incidents)\nrecords  %s\ncontent  %s\n",
		plain(string(m.Tenant)), m.Records, m.Position.Entities, m.Position.Edges, m.Position.Alerts, m.Position.Incidents, m.SHA256, m.Digest)
	return err
}

func runExport(ctx context.Context, s streams, o moveOptions, file string) (err error) {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	store, err := o.openExisting(ctx, s, o.salvage)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	m := moved{Tenant: graph.TenantID(o.tenant)}
	report := s.out
	if file == "-" {
		report = s.err
	}
	write := func(w io.Writer) (err error) {
		m.Summary, err = archive.Write(w, m.Tenant, store.Export(ctx, m.Tenant))
		return err
	}
	if file == "-" {
		err = write(s.out)
	} else {
		_, err = writeWhole(file, o.force, func(w io.Writer) error { return writeCompressed(w, strings.HasSuffix(file, ".gz"), write) })
	}
	if errors.Is(err, graph.ErrNotFound) {
		err = fmt.Errorf("the store has nothing of tenant %q", o.tenant)
	} else if err != nil {
		err = fmt.Errorf("exporting: %w", err)
	} else {
		err = tell(ctx, report, o.output, store, m)
	}
	return errors.Join(err, passedOver(s.err, store))
}

// passedOver names what a store was opened without. What was exported of it may be less than there was.
func passedOver(w io.Writer, store record) error {
	e, ok := store.(*embedded.Store)
	if !ok || len(e.Found()) == 0 {
		return nil
	}
	for _, p := range e.Found() {
		fmt.Fprintf(w, "clew: damaged: %s\n", plain(p.String()))
	}
	return errors.New("files of the store are missing or damaged: what was exported may lack what they held")
}

func writeCompressed(f io.Writer, compress bool, write func(io.Writer) error) error {
	if !compress {
		return write(f)
	}
	z := gzip.NewWriter(f)
	return errors.Join(write(z), z.Close())
}

func runImport(ctx context.Context, s streams, o moveOptions, named bool, file string) (err error) {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	in, closeIn, err := openArchive(ctx, s.in, file)
	if err != nil {
		return err
	}
	defer closeIn()
	store, err := o.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	m := moved{Tenant: in.Tenant}
	if named {
		m.Tenant = graph.TenantID(o.tenant)
	}
	if err := store.Import(ctx, m.Tenant, in.Records()); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(s.err, "clew: the import of tenant %q was cut short: make it again, or give it up with 'clew import --abandon'\n", plain(string(m.Tenant)))
		}
		return fmt.Errorf("importing: %w", err)
	}
	m.Summary = in.Summary()
	return tell(ctx, s.out, o.output, store, m)
}

func runAbandon(ctx context.Context, s streams, o moveOptions) (err error) {
	store, err := o.openExisting(ctx, s, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	err = store.Abandon(ctx, graph.TenantID(o.tenant))
	if errors.Is(err, graph.ErrConflict) {
		return fmt.Errorf("the store has all of tenant %q: no import of it was cut short", o.tenant)
	}
	if err == nil && o.output == "text" {
		_, err = fmt.Fprintf(s.out, "the store has nothing of tenant %q\n", plain(o.tenant))
	}
	return err
}

// openArchive opens an archive, compressed or not.
func openArchive(ctx context.Context, stdin io.Reader, file string) (*archive.Reader, func(), error) {
	source, _, err := openSource(ctx, stdin, file)
	if err != nil {
		return nil, nil, err
	}
	a, err := archive.NewReader(source)
	if err != nil {
		_ = source.Close() // only read
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return a, func() { _ = source.Close() }, nil
}
