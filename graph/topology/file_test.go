package topology

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
)

// lab is a store, and topologies of it with a file that the test moves by hand.
type lab struct {
	*testing.T
	store   graph.Store
	clock   *graphtest.Clock
	options Options
	source  *counted

	mu   sync.Mutex
	said []string
}

func newLab(t *testing.T, s graph.Store) *lab {
	l := &lab{T: t, store: s, clock: graphtest.NewClock()}
	l.options = Options{
		Grade: facts, Grading: "facts", File: filepath.Join(t.TempDir(), "graph"), Clock: l.clock.Now,
		Log: func(format string, args ...any) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.said = append(l.said, fmt.Sprintf(format, args...))
		},
	}
	return l
}

// start is another topology that has been moved once.
func (l *lab) start() *Topology {
	l.Helper()
	l.source = count(l.store)
	f := newTopology(l.source, graphtest.Tenant, l.options)
	must(0, f.advance(context.Background()))(l)
	return f
}

// saved has the file saved, as at the end.
func (l *lab) saved(f *Topology) {
	l.Helper()
	before := len(l.said)
	if f.keepLast(); len(l.said) > before || f.toSave() != nil {
		l.Fatalf("it was not saved: %q", l.said)
	}
}

// expect says whether there was a scan, and what was said, and holds the graph against the store.
func (l *lab) expect(f *Topology, scanned bool, said string) {
	l.Helper()
	if got := l.source.calls["position"] > 0; got != scanned {
		l.Errorf("scanned: %t, want %t", got, scanned)
	}
	if got := strings.Join(l.said, "\n"); (got == "") != (said == "") || !strings.Contains(got, said) || strings.Contains(got, "\n") {
		l.Errorf("it said %q, want %q", got, said)
	}
	compare(l, truthOf(l, l.store), f.shown)
}

// someBatches are batches after which nodes are joined and followed to others.
func someBatches(t *testing.T) (out []graph.Batch) {
	for i := range 8 {
		out = append(out, logon(t, i, i%3))
	}
	weak := entity(t, graph.KindDevice, graph.KeyHostName, "pc1")
	both := device(t, 1)
	both.Keys = append(both.Keys, weak.Keys...)
	again := device(t, 2)
	again.Keys = append(again.Keys, entity(t, graph.KindDevice, graph.KeyAzureADDeviceID, "a1").Keys...)
	return append(out, graph.Batch{Entities: []graph.EntityObservation{weak}}, graph.Batch{Entities: []graph.EntityObservation{both}},
		graph.Batch{Entities: []graph.EntityObservation{entity(t, graph.KindDevice, graph.KeyAzureADDeviceID, "a1")}},
		graph.Batch{Entities: []graph.EntityObservation{again}})
}

func filled(t *testing.T, s graph.Store) graph.Store {
	t.Helper()
	for _, b := range someBatches(t) {
		apply(t, s, b)
	}
	return s
}

func TestAGraphIsThereAgainWithoutAScan(t *testing.T) {
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	f := l.start()
	l.expect(f, true, "")
	l.saved(f)
	if i := must(os.Stat(l.options.File))(t); i.Mode().Perm() != 0o600 {
		t.Errorf("the file is %s", i.Mode())
	}
	clear(l.source.calls)
	f = l.start()
	l.expect(f, false, "")
	if n := l.source.calls["entities"] + l.source.calls["edges"]; n > 0 {
		t.Errorf("%d reads where nothing had changed", n)
	}
	if aliasesIn(f.shown.graph) == 0 || f.work.picture.derived == 0 {
		t.Error("nothing was joined or followed")
	}
	apply(t, l.store, logon(t, 3, 5))
	l.expect(l.start(), false, "")
}

// spoil does something to the file of a topology, or to what it is to serve.
type spoil func(l *lab, f *Topology)

func rewritten(change func(s *saving)) spoil {
	return func(l *lab, f *Topology) {
		f.saved = 0
		s := f.toSave()
		change(s)
		must(0, s.save(l.Context(), l.options.File))(l)
	}
}

func edited(change func(text []byte) []byte) spoil {
	return func(l *lab, _ *Topology) {
		text := must(os.ReadFile(l.options.File))(l)
		must(0, os.WriteFile(l.options.File, change(text), 0o600))(l)
	}
}

func replaced(by func(name string) error) spoil {
	return func(l *lab, _ *Topology) {
		must(0, errors.Join(os.Remove(l.options.File), by(l.options.File)))(l)
	}
}

// anothers is an id that another node has.
func anothers(s *saving) compact.Node {
	n := compact.Node(0)
	for of, _ := s.graph.Find(s.graph.ID(n)); of == n; of, _ = s.graph.Find(s.graph.ID(n)) {
		n++
	}
	return n
}

func more(commits int) spoil {
	return func(l *lab, _ *Topology) {
		for i := range commits {
			apply(l, l.store, logon(l, i, 7))
		}
	}
}

func TestAFileThatDoesNotServeIsNotUsed(t *testing.T) {
	const notTheOne = "is not the one"
	for name, row := range map[string]struct {
		spoil spoil
		why   string
	}{
		"as it is":       {more(0), ""},
		"written again":  {rewritten(func(*saving) {}), ""},
		"later changes":  {more(4), ""},
		"other tenant":   {rewritten(func(s *saving) { s.head.Tenant = "fabrikam" }), "another tenant"},
		"other grading":  {func(l *lab, _ *Topology) { l.options.Grading = "other" }, "other rules"},
		"with history":   {func(l *lab, _ *Topology) { l.options.History = true }, "how edges were"},
		"other version":  {rewritten(func(s *saving) { s.head.Format++ }), "another version"},
		"other graph":    {rewritten(func(s *saving) { s.head.Compact++ }), "another version"},
		"other kinds":    {rewritten(func(s *saving) { s.head.Edges = "" }), "other kinds"},
		"no commit":      {rewritten(func(s *saving) { s.head.Revision = 0 }), "no commit"},
		"other instant":  {rewritten(func(s *saving) { s.head.At = s.head.At.Add(time.Microsecond) }), notTheOne},
		"later revision": {rewritten(func(s *saving) { s.head.Revision++ }), notTheOne},
		"trimmed":        {more(5), notTheOne},
		"another store":  {func(l *lab, _ *Topology) { l.store = filled(l.T, openStore(l, 0)) }, notTheOne},
		"empty store":    {func(l *lab, _ *Topology) { l.store = openStore(l, 0) }, notTheOne},
		"odd loose id":   {rewritten(func(s *saving) { s.loose = append(s.loose, 99) }), "no node 99"},
		"odd detour":     {rewritten(func(s *saving) { s.detours[0] = 99 }), "no node 99"},
		"odd number":     {rewritten(func(s *saving) { s.detours[1<<31] = 0 }), "no node 2147483648"},
		"another's":      {rewritten(func(s *saving) { s.loose = append(s.loose, anothers(s)) }), "is loose and another's"},
		"follows":        {rewritten(func(s *saving) { s.detours[anothers(s)] = 0 }), "is followed and another's"},
		"empty":          {edited(func([]byte) []byte { return nil }), "cut short"},
		"cut short":      {edited(func(text []byte) []byte { return text[:len(text)/2] }), "cut short"},
		"damaged":        {edited(func(text []byte) []byte { text[len(text)/2]++; return text }), "checksum"},
		"longer":         {edited(func(text []byte) []byte { return append(text, 0) }), "behind its end"},
		"something else": {edited(func([]byte) []byte { return bytes.Repeat([]byte("text "), 100) }), "something else"},
		"a directory":    {replaced(func(name string) error { return os.Mkdir(name, 0o700) }), "not a file"},
		"a circle":       {replaced(func(name string) error { return os.Symlink(name, name) }), "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, filled(t, openStore(t, 5)))
			f := l.start()
			l.saved(f)
			row.spoil(l, f)
			l.expect(l.start(), row.why != "", row.why)
		})
	}
}

// A store that is set back to a backup has lost commits. When it then goes another way, it comes to the revision of
// the file again.
func TestAFileOfAStoreThatWentAnotherWayIsNotUsed(t *testing.T) {
	fs := vfs.NewCrashableMem()
	open := func(fs vfs.FS) graph.Store {
		return must(embedded.Open("store", embedded.Options{FS: fs, CacheBytes: 1 << 20}))(t)
	}
	l := newLab(t, filled(t, open(fs)))
	backup := fs.CrashClone(vfs.CrashCloneCfg{})
	f := l.start()
	l.saved(f)
	before := must(os.ReadFile(l.options.File))(t)
	apply(t, l.store, logon(t, 77, 7)) // which the backup does not have
	must(0, f.advance(t.Context()))(t)
	l.saved(f)
	l.store = open(backup)
	l.expect(l.start(), true, "is not the one")
	apply(t, l.store, logon(t, 88, 8))
	l.said = nil
	l.expect(l.start(), true, "is not the one")
	l.said = nil
	must(0, os.WriteFile(l.options.File, before, 0o600))(t) // all of which the backup has
	l.expect(l.start(), false, "")
}

// What is held while the store is written to may have parts of commits that a store which is set back never had.
func TestAGraphThatIsOfNoOneRevisionIsNotSaved(t *testing.T) {
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	l.options.limits = usualLimits
	l.options.limits.rounds = 1
	f, n := l.start(), 100
	l.source.before = func(_ context.Context, call string) error {
		if call == "changes" {
			n++
			apply(t, l.store, logon(t, n, n))
		}
		return nil
	}
	must(0, f.advance(t.Context()))(t)
	if f.shown.Exact || f.toSave() != nil {
		t.Errorf("a graph that is exact (%t) is saved", f.shown.Exact)
	}
	l.source.before = nil
	must(0, f.advance(t.Context()))(t)
	if f.toSave() == nil {
		t.Error("it is not saved when it is exact")
	}
	apply(t, l.store, logon(t, 1, 50))
	l.source.before = func(_ context.Context, call string) error {
		if call == "entities" {
			return errFault
		}
		return nil
	}
	if err := f.advance(t.Context()); !errors.Is(err, errFault) || f.toSave() != nil {
		t.Errorf("a graph with nodes to be read again is saved (%v)", err)
	}
	asked := false
	l.source.before = func(_ context.Context, call string) error {
		if asked = asked || call == "entities"; asked && call == "changes" {
			return errFault
		}
		return nil
	}
	if err := f.advance(t.Context()); !errors.Is(err, errFault) || f.toSave() != nil {
		t.Errorf("a graph of which it is not known whether all is of one revision is saved (%v)", err)
	}
}

func TestAPictureIsReadBack(t *testing.T) {
	s := inStudio(t)
	s.know(node("a", "", ""), node("b", "", ""), node("c", "", "b"), node("d", "e", ""))
	s.put(ran("a", "c"))
	s.know(node("a", "b", ""), node("d", "", "")) // c still follows b, and nobody told of e yet
	w := work{reader: reader{tenant: graphtest.Tenant}, picture: s.picture, collected: 1, at: graphtest.Epoch}
	var file bytes.Buffer
	must(0, w.saving(s.Graph()).write(t.Context(), &file))(t)
	from := &saved{blocks: &blockReader{ctx: t.Context(), from: &file}}
	must(0, from.readHead())(t)
	again := studio{t, must(from.read(limits{}))(t)}
	if len(s.detours) != 1 || len(s.loose) != 1 || !sameMaps(again.picture, s.picture) {
		t.Errorf("the picture is\n%+v, want\n%+v", again.picture, s.picture)
	}
	for _, s := range []studio{s, again} {
		s.know(node("b", "", ""), node("a", "", ""))
		s.want("a a-c b c c~b d")
	}
}

func TestASourceThatFailsIsAskedAgainBeforeAFileIsGivenUp(t *testing.T) {
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	l.saved(l.start())
	l.source = count(l.store)
	ask := l.source.before
	l.source.before = func(context.Context, string) error { return errFault }
	f := newTopology(l.source, graphtest.Tenant, l.options)
	for range 3 {
		if err := f.advance(t.Context()); !errors.Is(err, errFault) {
			t.Fatalf("error is %v", err)
		}
	}
	l.source.before = ask
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.advance(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	must(0, f.advance(t.Context()))(t)
	l.expect(f, false, "")
}

func TestEveryFileThatIsNotWholeIsRefused(t *testing.T) {
	s := graphtest.NewModel(time.Now)
	for i := range 3 {
		apply(t, s, logon(t, i, 1))
	}
	l := newLab(t, s)
	l.saved(l.start())
	f := newTopology(s, graphtest.Tenant, l.options)
	whole := must(os.ReadFile(l.options.File))(t)
	refused := func(what string, text []byte) {
		must(0, os.WriteFile(l.options.File, text, 0o600))(t)
		w, failure, reason := f.restore(t.Context())
		if w != nil || failure != nil || reason == nil {
			t.Fatalf("%s: %v, %v", what, failure, reason)
		}
	}
	for i := range whole {
		refused(fmt.Sprint("cut at ", i), whole[:i])
		for _, flip := range []byte{1 << (i % 8), 0xff} {
			text := bytes.Clone(whole)
			text[i] ^= flip
			refused(fmt.Sprintf("byte %d flipped by %x", i, flip), text)
		}
	}
	must(0, os.WriteFile(l.options.File, whole, 0o600))(t)
	if w, failure, reason := f.restore(t.Context()); w == nil {
		t.Errorf("the whole one is refused: %v, %v", failure, reason)
	}
}

// Blocks that are whole themselves are refused where they do not follow each other.
func TestBlocksAreReadInTheirOrder(t *testing.T) {
	var text bytes.Buffer
	w := &blockWriter{ctx: t.Context(), to: &text}
	for i := range 3 {
		must(w.Write(bytes.Repeat([]byte{byte(i)}, 10)))(t)
		must(0, w.flush())(t)
	}
	must(0, w.end())(t)
	const each = 18
	read := func(blocks ...int) error {
		var in []byte
		for _, i := range blocks {
			in = append(in, text.Bytes()[i*each:min((i+1)*each, text.Len())]...)
		}
		_, err := io.ReadAll(&blockReader{ctx: t.Context(), from: bytes.NewReader(in)})
		return err
	}
	if err := read(0, 1, 2, 3); err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]int{{0, 2, 1, 3}, {0, 1, 3}, {0, 1, 1, 2, 3}, {1, 2, 3}, {0, 3}, {3}} {
		if err := read(order...); !errors.Is(err, errChecksum) {
			t.Errorf("%v: %v", order, err)
		}
	}
	if err := read(0, 1, 2); !errors.Is(err, errCutShort) {
		t.Errorf("without the last: %v", err)
	}
}

// Whatever blocks hold that are whole is refused, or a picture to go on from.
func FuzzSaved(f *testing.F) {
	s := graphtest.NewModel(time.Now)
	apply(f, s, logon(f, 1, 1))
	t := newTopology(s, graphtest.Tenant, Options{File: "unused"})
	must(0, t.advance(context.Background()))(f)
	from := t.toSave()
	from.loose, from.detours = []compact.Node{0}, map[compact.Node]compact.Node{1: 0}
	var text bytes.Buffer
	text.Write(from.maps())
	must(0, from.graph.Encode(&text))(f)
	f.Add(text.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		var file bytes.Buffer
		w := &blockWriter{ctx: t.Context(), to: &file}
		must(w.Write(text))(t)
		must(0, w.end())(t)
		p, err := (&saved{blocks: &blockReader{ctx: t.Context(), from: &file}}).read(limits{})
		if err != nil {
			return
		}
		u := p.update()
		u.know(graph.Entity{ID: named("a"), Members: []graph.ID{named("b")}}, 1)
		u.put(ran("a", "c"))
		must(0, u.apply())(t)
		must(0, p.Graph().Encode(io.Discard))(t)
	})
}

func TestACrashBetweenWritingAndRenamingLeavesTheOldFile(t *testing.T) {
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	f := l.start()
	l.saved(f)
	old := must(os.ReadFile(l.options.File))(t)
	apply(t, l.store, logon(t, 3, 9))
	must(0, f.advance(t.Context()))(t)
	l.saved(f)
	for name, left := range map[string][]byte{"whole": must(os.ReadFile(l.options.File))(t), "cut short": old[:100], "empty": nil} {
		must(0, errors.Join(os.WriteFile(l.options.File, old, 0o600), os.WriteFile(partial(l.options.File), left, 0o644)))(t)
		f = l.start()
		l.expect(f, false, "")
		if _, err := os.Stat(partial(l.options.File)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: what a crash left is still there: %v", name, err)
		}
		must(0, os.WriteFile(partial(l.options.File), left, 0o644))(t) // another process's
		if l.saved(f); must(os.Stat(l.options.File))(t).Mode().Perm() != 0o600 {
			t.Errorf("%s: the file may be read by others", name)
		}
		l.expect(l.start(), false, "")
	}
}

func TestAFileThatCannotBeWrittenHarmsNothing(t *testing.T) {
	for name, spoil := range map[string]func(l *lab){
		"no directory": func(l *lab) { l.options.File = filepath.Join(l.options.File, "there", "is") },
		"a directory":  func(l *lab) { must(0, os.MkdirAll(filepath.Join(l.options.File, "full"), 0o700))(l) },
		"a directory in the way": func(l *lab) {
			must(0, os.MkdirAll(filepath.Join(partial(l.options.File), "full"), 0o700))(l)
		},
	} {
		t.Run(name, func(t *testing.T) {
			reader := sdk.NewManualReader()
			l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
			l.options.Metrics = must(NewMetrics(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")))(t)
			spoil(l)
			f := l.start()
			l.said = nil
			for range 2 { // it is not tried again at once
				f.keep()
				if f.running != nil {
					f.ran()
				}
			}
			apply(t, l.store, logon(t, 3, 9))
			must(0, f.advance(t.Context()))(t)
			l.expect(f, true, "saving")
			checkMetrics(t, reader, map[string]float64{"clew.replica.unsaved": 1})
			if i, err := os.Stat(partial(l.options.File)); err == nil && !i.IsDir() {
				t.Error("what was written is left")
			}
		})
	}
}

func TestAGraphIsSavedNowAndThenWhereItHasChanged(t *testing.T) {
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	f := l.start()
	saves := func(want bool) {
		t.Helper()
		f.keep()
		if (f.running != nil) != want {
			t.Errorf("it is being saved: %t, want %t", !want, want)
		}
		if f.running != nil {
			f.keep() // one at a time
			f.ran()
		}
	}
	commit := func() {
		apply(t, l.store, logon(t, 3, len(l.said)+int(f.shown.Revision)))
		must(0, f.advance(t.Context()))(t)
	}
	saves(true) // at once after a scan
	saves(false)
	commit()
	saves(false)
	l.clock.Move(DefaultSaveEvery - 1)
	saves(false)
	l.clock.Move(1)
	saves(true)
	l.clock.Move(2 * DefaultSaveEvery)
	saves(false)
	commit()
	saves(true)
	f = l.start()
	commit()
	saves(false) // the file is of just now
	l.clock.Move(DefaultSaveEvery)
	saves(true)
	l.options.File = ""
	f = l.start()
	commit()
	saves(false)
}

func TestCloseSavesWhatIsHeld(t *testing.T) {
	checkLeaks(t)
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	for round := range 20 {
		l.source = count(l.store)
		l.source.before = nil
		o := l.options
		if o.Clock = nil; round%2 > 0 {
			o.SaveEvery = 1 // without a pause
		}
		f := must(Follow(t.Context(), l.source, graphtest.Tenant, o))(t)
		last := apply(t, l.store, logon(t, round, 20+round))
		must(f.View(t.Context(), last))(t)
		must(0, f.Close())(t)
		if s := must(openSaved(t.Context(), l.options.File))(t); s.head.Revision != last {
			t.Fatalf("the file is of revision %d, want %d", s.head.Revision, last)
		} else if s.file.Close(); f.toSave() != nil {
			t.Fatal("there is something to be saved")
		}
	}
	l.expect(l.start(), false, "")
}

// A topology that is ended in the middle of taking in changes takes them in first.
func TestCloseInTheMiddleOfChangesSavesThemToo(t *testing.T) {
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	ctx, cancel := context.WithCancel(t.Context())
	o := l.options
	o.Clock = nil
	f := must(Follow(ctx, l.stopping(cancel), graphtest.Tenant, o))(t)
	must(f.View(t.Context(), 0))(t)
	last := apply(t, l.store, logon(t, 1, 40))
	f.Hint()
	<-ctx.Done()
	must(0, f.Close())(t)
	if s := must(openSaved(t.Context(), l.options.File))(t); s.head.Revision != last {
		t.Errorf("the file is of revision %d, want %d", s.head.Revision, last)
	}
	l.expect(l.start(), false, "")
}

// stopping is a source whose first read of nodes by id ends the topology.
func (l *lab) stopping(end func()) Source {
	var once sync.Once
	return &rereading{l.store, func() { once.Do(end) }}
}

type rereading struct {
	Source
	before func()
}

func (r *rereading) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	if q.IDs != nil {
		r.before()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r.Source.Entities(ctx, v, q)
}

// One that is being saved is given up for a later one, and waited for where it is the last.
func TestCloseDuringASave(t *testing.T) {
	for name, later := range map[string]bool{"of an older graph": true, "of the same": false} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
			f := l.start()
			slow := &running{revision: f.exactAt, done: make(chan struct{})}
			given := false
			slow.cancel = func() {
				select {
				case <-slow.done: // what it held is let go
				default:
					given = true
					slow.err = context.Canceled
					close(slow.done)
				}
			}
			if later {
				slow.revision--
			} else {
				time.AfterFunc(10*time.Millisecond, func() { close(slow.done) })
			}
			f.running = slow
			f.keepLast()
			_, err := os.Stat(l.options.File)
			if f.saved != f.exactAt || f.running != nil || (err == nil) != later || given != later || len(l.said) > 0 {
				t.Errorf("saved is revision %d of %d, the file %v; said %q", f.saved, f.exactAt, err, l.said)
			}
		})
	}
}

func TestASaveThatIsGivenUpLeavesNothing(t *testing.T) {
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	f := l.start()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.toSave().save(ctx, l.options.File); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if left := must(os.ReadDir(filepath.Dir(l.options.File)))(t); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestTwoTenantsHaveTheirFiles(t *testing.T) {
	s, dir := graphtest.NewModel(time.Now), t.TempDir()
	tenants := []graph.TenantID{"contoso", "fabrikam"}
	for i, tenant := range tenants {
		must(s.Apply(t.Context(), tenant, logons(t, numbers(10*(i+1)), 1, 0)))(t)
	}
	for round, want := range []string{"scan", "file", "other file"} {
		var all []*Topology
		var calls []*counted
		for i, tenant := range tenants {
			o := Options{Grade: facts, File: filepath.Join(dir, string(tenants[(i+round/2)%2]))}
			calls = append(calls, count(s))
			all = append(all, newTopology(calls[i], tenant, o))
			must(0, all[i].advance(t.Context()))(t)
		}
		for i, f := range all {
			if nodes, _ := f.shown.Size(); nodes != 10*(i+1)+1 || (calls[i].calls["position"] == 0) != (want == "file") {
				t.Errorf("%s: %s has %d nodes; calls: %v", want, tenants[i], nodes, calls[i].calls)
			}
			f.keepLast()
		}
	}
}

func TestBuildUsesNoFile(t *testing.T) {
	l := newLab(t, filled(t, graphtest.NewModel(time.Now)))
	must(0, os.WriteFile(l.options.File, []byte("text"), 0o600))(t)
	must(Build(t.Context(), l.store, graphtest.Tenant, l.options))(t)
	if text := must(os.ReadFile(l.options.File))(t); string(text) != "text" || len(l.said) > 0 {
		t.Errorf("the file has %d bytes, it said %q", len(text), l.said)
	}
}

// What other ids nodes have is not saved, since it follows from the ids.
func sameMaps(a, b *picture) bool {
	return maps.EqualFunc(a.members, b.members, slices.Equal) && maps.Equal(a.loose, b.loose) && maps.Equal(a.detours, b.detours) && a.derived == b.derived
}
