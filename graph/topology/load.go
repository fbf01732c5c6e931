package topology

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
)

// saved is a file that is read.
type saved struct {
	file   *os.File
	blocks *blockReader
	head   head
}

// openSaved reads as far as the head.
func openSaved(ctx context.Context, name string) (*saved, error) {
	if i, err := os.Stat(name); err != nil {
		return nil, err
	} else if !i.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	s := &saved{file: f, blocks: &blockReader{ctx: ctx, from: f}}
	if err := s.readHead(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *saved) readHead() error {
	first := make([]byte, len(magic))
	if err := s.blocks.fill(first); err != nil {
		return err
	}
	if string(first) != magic {
		return errors.New("it is something else")
	}
	text, err := s.blocks.next()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &s.head)
}

// fits tells why the file is of no use here.
func (r reader) fits(h head) error {
	switch {
	case h.Format != fileFormat || h.Compact != compact.Format:
		return errors.New("it is of another version")
	case h.Edges != edgeKinds:
		return errors.New("there were other kinds of edges")
	case h.Tenant != r.tenant:
		return errors.New("it is of another tenant")
	case h.Grading != r.options.Grading:
		return errors.New("nodes were graded by other rules")
	case h.History != r.options.History:
		return errors.New("how edges were was asked for, or was not")
	case h.Revision == 0 || h.At.IsZero():
		return errors.New("it is of no commit")
	}
	return nil
}

// serves gives when the commit was made that a file is as of, failure for what may work another time, and a reason why
// the file is of no use here.
func (r reader) serves(ctx context.Context, h head) (at time.Time, failure, reason error) {
	if reason := r.fits(h); reason != nil {
		return at, nil, reason
	}
	at, failure = r.commitAt(ctx, r.view(0), h.Revision)
	if failure == nil && !at.Equal(h.At) {
		reason = fmt.Errorf("the store's commit %d is not the one of %s, or is kept no more", h.Revision, h.At)
	}
	return at, failure, reason
}

// read reads the rest.
func (s *saved) read(l limits) (*picture, error) {
	in := bufio.NewReaderSize(s.blocks, 1<<16)
	loose, err := readNodes(in, 1)
	if err != nil {
		return nil, err
	}
	detours, err := readNodes(in, 2)
	if err != nil {
		return nil, err
	}
	b, err := compact.Decode(in, cmp.Or(l.ids, compact.MaxNodes), compact.MaxEdges)
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Concat(loose, detours) {
		if int(n) >= b.Numbers() {
			return nil, fmt.Errorf("there is no node %d", n)
		}
	}
	p := pictureOf(b)
	for _, n := range loose {
		p.loose[n] = struct{}{}
	}
	for pair := range slices.Chunk(detours, 2) {
		p.detours[pair[0]] = pair[1]
	}
	return p, p.check()
}

// check tells of ids that are loose or followed and belong to another node.
func (p *picture) check() error {
	for n := range p.loose {
		if p.Aliased(n) != n {
			return fmt.Errorf("node %d is loose and another's", n)
		}
	}
	for n := range p.detours {
		if p.Aliased(n) != n {
			return fmt.Errorf("node %d is followed and another's", n)
		}
	}
	return nil
}

// readNodes reads so many at a time.
func readNodes(in *bufio.Reader, each uint64) (out []compact.Node, err error) {
	n, err := binary.ReadUvarint(in)
	if err == nil && n > compact.MaxNodes {
		err = fmt.Errorf("%d numbers of nodes", n)
	}
	for n *= each; n > 0 && err == nil; n-- {
		var one uint64
		if one, err = binary.ReadUvarint(in); one >= compact.MaxNodes {
			err = fmt.Errorf("there is no node %d", one)
		}
		out = append(out, compact.Node(one))
	}
	return out, err
}

// load begins from Options.File; nil, and said why, where that cannot be. Errors: ctx's and the source's.
func (r reader) load(ctx context.Context) (*work, error) {
	w, failure, reason := r.restore(ctx)
	if failure = cmp.Or(ctx.Err(), failure); failure != nil {
		return nil, failure
	}
	if reason != nil && !errors.Is(reason, fs.ErrNotExist) {
		r.options.Log("topology: %s does not serve, all is read again: %v", r.options.File, reason)
	}
	return w, nil
}

// restore gives failure for what may work another time, and a reason for what will not.
func (r reader) restore(ctx context.Context) (w *work, failure, reason error) {
	_ = os.Remove(partial(r.options.File)) // of a crash; whoever saves is told where it cannot be
	s, reason := openSaved(ctx, r.options.File)
	if reason != nil {
		return nil, nil, reason
	}
	defer s.file.Close()
	at, failure, reason := r.serves(ctx, s.head)
	if failure != nil || reason != nil {
		return nil, failure, reason
	}
	p, reason := s.read(r.options.limits)
	if reason != nil {
		return nil, nil, reason
	}
	now := r.options.Clock()
	w = newWork(r, p)
	w.collected, w.at, w.asked, w.complete = s.head.Revision, at, now, s.head.Confirmed
	if w.complete.After(now) {
		w.complete = now
	}
	return w, nil, nil
}

// membersIn are the other ids of nodes, in order.
func membersIn(b *compact.Builder) map[graph.ID][]graph.ID {
	members := map[graph.ID][]graph.ID{}
	for n := range compact.Node(b.Numbers()) {
		if of := b.Aliased(n); of != n {
			members[b.ID(of)] = append(members[b.ID(of)], b.ID(n))
		}
	}
	for _, ids := range members {
		slices.SortFunc(ids, graph.ID.Compare)
	}
	return members
}

// derivedIn counts the edges that were not observed.
func derivedIn(b *compact.Builder) (count int) {
	for n := range compact.Node(b.Numbers()) {
		if !b.Mark(n).Same() {
			continue
		}
		for _, a := range b.Arcs(n) {
			if a.Kind() == graph.EdgePossiblySame && !a.Backward() {
				count++
			}
		}
	}
	return count
}
