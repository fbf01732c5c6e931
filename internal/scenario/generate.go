package scenario

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The formats of files, by the names that an import takes.
const (
	FormatGraph    = "graph"    // a page of Microsoft Graph Security alerts_v2
	FormatSentinel = "sentinel" // Microsoft Sentinel SecurityAlert rows, NDJSON, perhaps gzip
	FormatClew     = "clew"     // Clew's own NDJSON of entities and edges
)

// TruthFile is the name under which Write leaves the labels.
const TruthFile = "truth.csv"

// pageSize is the most alerts in one page, as in alerts_v2.
const pageSize = 1000

// File is one file of the scenario.
type File struct {
	// Name within the directory; ".gz" at its end says that Data is compressed.
	Name string
	// Format is one of the Format constants.
	Format string
	Data   []byte
}

// Label says where an alert belongs. Alerts of one attack or outbreak share a label; every other alert has one
// of its own.
type Label struct {
	// ProviderAlertID as in Graph's providerAlertId and Sentinel's VendorOriginalId.
	ProviderAlertID string
	// ServiceSource as in Graph.
	ServiceSource string
	Label         string
}

// Corpus is a whole scenario.
type Corpus struct {
	// Files in the order in which they would have come: inventory first, newer versions of alerts last.
	Files []File
	truth []Label
}

// Truth gives one label for each distinct alert, in the order of their making.
func (c Corpus) Truth() []Label { return slices.Clone(c.truth) }

// TruthCSV is Truth as CSV with a header: providerAlertId,serviceSource,label.
func (c Corpus) TruthCSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"providerAlertId", "serviceSource", "label"}}
	for _, l := range c.truth {
		rows = append(rows, []string{l.ProviderAlertID, l.ServiceSource, l.Label})
	}
	_ = w.WriteAll(rows) // a Buffer takes everything
	return b.Bytes()
}

// Generate makes the scenario in memory: some 10 kB for each alert. The error wraps ErrOptions.
func Generate(o Options) (Corpus, error) {
	if err := o.check(); err != nil {
		return Corpus{}, err
	}
	w := &world{Options: o, co: newCompany(o)}
	c := newCasting(w)
	w.attackAll(c)
	w.outbreakAll(c)
	w.noiseAll()
	files, err := w.files()
	return Corpus{Files: files, truth: w.truth}, err
}

// Write generates the scenario into a directory, which it makes where there is none, and gives the files'
// paths; with Options.Truth it adds TruthFile, whose path it does not give. It overwrites files of these names
// and leaves others alone.
func Write(dir string, o Options) ([]string, error) {
	c, err := Generate(o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	var paths []string
	for _, f := range c.Files {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
		paths = append(paths, path)
	}
	if !o.Truth {
		return paths, nil
	}
	if err := os.WriteFile(filepath.Join(dir, TruthFile), c.TruthCSV(), 0o644); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return paths, nil
}

func (w *world) files() ([]File, error) {
	slices.SortStableFunc(w.alerts, func(a, b alert) int { return time.Time(b.Created).Compare(time.Time(a.Created)) })
	var graph, updates []graphAlert
	for _, a := range w.alerts {
		if a.route != asSentinel {
			graph = append(graph, a.graphAlert)
		}
		if a.updated != nil {
			updates = append(updates, *a.updated)
		}
	}
	inv, err := w.inventory()
	if err != nil {
		return nil, err
	}
	files := []File{{"inventory.ndjson", FormatClew, inv}}
	for _, add := range []func() ([]File, error){
		func() ([]File, error) { return pages("defender-alerts", graph) },
		w.sentinelFiles,
		func() ([]File, error) { return pages("defender-alerts-updates", updates) },
	} {
		more, err := add()
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}

// pages cuts alerts into pages as the service would.
func pages(name string, all []graphAlert) ([]File, error) {
	var files []File
	for page := range slices.Chunk(all, pageSize) {
		n := name
		if len(files) > 0 {
			n = fmt.Sprintf("%s-%d", name, len(files)+1)
		}
		data, err := compact(graphPage{"https://graph.microsoft.com/v1.0/$metadata#security/alerts_v2", len(all), page})
		if err != nil {
			return nil, err
		}
		files = append(files, File{n + ".json", FormatGraph, data})
	}
	return files, nil
}

// sentinelFiles are two exports: the identity products', compressed, and the others'.
func (w *world) sentinelFiles() ([]File, error) {
	var identities, others []sentinelRow
	for _, a := range w.alerts {
		if a.route == asGraph {
			continue
		}
		row := a.sentinel(namedGUID("workspace " + w.co.tenant))
		switch {
		case strings.HasPrefix(a.from.prefix, "a"):
			identities = append(identities, row)
		default:
			others = append(others, row)
		}
	}
	a, err := lines(identities)
	if err != nil {
		return nil, err
	}
	b, err := lines(others)
	if err != nil {
		return nil, err
	}
	z, err := compressed(a)
	return []File{{"identity.sentinel.ndjson.gz", FormatSentinel, z}, {"endpoint.sentinel.ndjson", FormatSentinel, b}}, err
}

func compressed(data []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
