package topology

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/clew-security/clew/graph/compact"
)

// saving is a graph to be saved. Nothing of it changes any more.
type saving struct {
	head    head
	graph   *compact.Graph
	loose   []compact.Node
	detours map[compact.Node]compact.Node
}

// saving gives the graph, which must be g, where it is as of one revision: no later commit shows in it, so that a store
// that is set back and goes another way is told apart by the commit that the graph is as of.
func (w *work) saving(g *compact.Graph) *saving {
	if w.collected == 0 || w.at.IsZero() || w.pending() > 0 {
		return nil
	}
	h := head{fileFormat, compact.Format, edgeKinds, w.options.Grading, w.tenant, w.options.History, w.collected, w.at, w.complete}
	return &saving{h, g, slices.Collect(maps.Keys(w.picture.loose)), maps.Clone(w.picture.detours)}
}

// save replaces the file by one of this graph: the old one stays until the new one is whole and on the disk.
func (s *saving) save(ctx context.Context, name string) (err error) {
	temp := partial(name)
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = s.write(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDirectory(filepath.Dir(name))
}

func syncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *saving) write(ctx context.Context, to io.Writer) error {
	text, err := json.Marshal(s.head)
	if err == nil {
		_, err = io.WriteString(to, magic)
	}
	w := &blockWriter{ctx: ctx, to: to}
	for _, part := range [][]byte{text, s.maps()} {
		if err == nil {
			_, err = w.Write(part)
		}
		if err == nil {
			err = w.flush()
		}
	}
	if err == nil {
		err = s.graph.Encode(w)
	}
	if err == nil {
		err = w.end()
	}
	return err
}

// maps are how many ids are loose, and their numbers; how many detours there are, and the two numbers of each.
func (s *saving) maps() []byte {
	text := binary.AppendUvarint(nil, uint64(len(s.loose)))
	for _, n := range s.loose {
		text = binary.AppendUvarint(text, uint64(n))
	}
	text = binary.AppendUvarint(text, uint64(len(s.detours)))
	for n, to := range s.detours {
		text = binary.AppendUvarint(binary.AppendUvarint(text, uint64(n)), uint64(to))
	}
	return text
}
