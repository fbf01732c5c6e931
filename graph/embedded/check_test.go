package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/rules"
)

func check(t fataler, s *Store) Report {
	t.Helper()
	r, err := s.Check(context.Background(), nil)
	if err != nil {
		t.Fatalf("checking: %v", err)
	}
	return r
}

// verdict of the oracle, without ending the test.
type verdict struct{ text string }

func (*verdict) Helper() {}

func (v *verdict) Fatalf(format string, args ...any) { panic(verdict{fmt.Sprintf(format, args...)}) }

// oracle is what verifyRows finds.
func oracle(s *Store, tenant graph.TenantID) (found string) {
	defer func() {
		if p := recover(); p != nil {
			found = fmt.Sprint(p)
		}
	}()
	verifyRows(&verdict{}, s, tenant)
	return ""
}

func TestASoundStoreHasNoProblems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := openAt(t, Options{FS: vfs.NewMem(), memTableBytes: smallFiles, KeepChanges: rapid.IntRange(1, 5).Draw(t, "changes")})
		for i, b := range drawBatches(t) {
			b.Key = fmt.Sprint(i)
			if _, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
				t.Fatalf("%v", err)
			}
		}
		expectSound(t, s)
		if err := s.Close(); err != nil {
			t.Fatalf("%v", err)
		}
	})
}

// rowsOf lists all that the engine holds.
func rowsOf(t fataler, s *Store) (out [][2][]byte) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		out = append(out, [2][]byte{slices.Clone(it.Key()), slices.Clone(it.Value())})
	}
	return out
}

// Whatever row is taken away, changed or added: what the oracle finds, which holds all in memory, the check finds.
func TestTheCheckFindsWhatTheOracleFinds(t *testing.T) {
	found, byTable := 0, map[byte]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := openAt(t, Options{FS: vfs.NewMem()})
		defer s.Close()
		batches := drawBatches(t)
		for i, b := range batches {
			b.Key = fmt.Sprint(i)
			if _, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
				t.Fatalf("%v", err)
			}
		}
		all := rowsOf(t, s)
		tables := map[byte][][2][]byte{}
		for _, row := range all {
			tables[row[0][0]] = append(tables[row[0][0]], row)
		}
		letters := []byte{}
		for l := range tables {
			letters = append(letters, l)
		}
		slices.Sort(letters)
		letter := rapid.SampledFrom(letters).Draw(t, "table")
		row := rapid.SampledFrom(tables[letter]).Draw(t, "row")
		key, value := slices.Clone(row[0]), slices.Clone(row[1])
		var err error
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			err = s.db.Delete(key, pebble.NoSync)
		case 1:
			if rest := len(keysOf(graphtest.Tenant)) + 1; rest < len(key) {
				key[rapid.IntRange(rest, len(key)-1).Draw(t, "at")] ^= 1
			}
			err = s.db.Set(key, value, pebble.NoSync)
		case 2:
			err = s.db.Set(key, append(value, 0), pebble.NoSync)
		default:
			if len(value) > 0 {
				value[rapid.IntRange(0, len(value)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
			}
			err = s.db.Set(key, value, pebble.NoSync)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		want := oracle(s, graphtest.Tenant)
		if want == "" {
			return
		}
		found++
		byTable[letter]++
		if r := check(t, s); r.Problems == 0 {
			t.Fatalf("the oracle says %s, the check finds nothing", want)
		}
	})
	t.Logf("%d of 100 changes were found; by table %v", found, byTable)
	if found < 20 || len(byTable) < 8 {
		t.Fatal("too few changes matter")
	}
}

// rewrite changes a record in place.
func rewriteRow(t *testing.T, s *Store, key []byte, value []byte) {
	t.Helper()
	if err := s.db.Set(key, value, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

func TestTheCheckSaysWhatIsWrong(t *testing.T) {
	k := keysOf(graphtest.Tenant)
	firstKey := func(t *testing.T, s *Store, in table) []byte {
		for _, row := range rowsOf(t, s) {
			if bytes.HasPrefix(row[0], k.of(in)) {
				return row[0]
			}
		}
		t.Fatalf("no row in %c", in)
		return nil
	}
	gone := func(in table) func(*testing.T, *Store) {
		return func(t *testing.T, s *Store) {
			if err := s.db.Delete(firstKey(t, s, in), pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
	}
	more := func(in table, key string, value []byte) func(*testing.T, *Store) {
		return func(t *testing.T, s *Store) { rewriteRow(t, s, append(k.of(in), key...), value) }
	}
	other := func(in table, value []byte) func(*testing.T, *Store) {
		return func(t *testing.T, s *Store) { rewriteRow(t, s, firstKey(t, s, in), value) }
	}
	record := func(change func(*rules.Tenant)) func(*testing.T, *Store) {
		return func(t *testing.T, s *Store) {
			row, err := view{t.Context(), s.db, k}.tenantRow()
			if err != nil {
				t.Fatal(err)
			}
			change(&row)
			rewriteRow(t, s, k.of(tableTenant), encodeTenant(row))
		}
	}
	id := strings.Repeat("\x01", 16)
	for name, c := range map[string]struct {
		damage func(*testing.T, *Store)
		says   string
	}{
		"a home row is gone":            {gone(tableHome), "was never observed"},
		"a weak key's row is gone":      {gone(tableWeak), "not among those of weak key"},
		"a claim's row is gone":         {gone(tableClaim), "not among those of claim"},
		"a reverse row is gone":         {gone(tableReverse), "not among those of reverse edge"},
		"a sighting is gone":            {gone(tableEdge), "no record has this row"},
		"an alert is gone":              {gone(tableAlert), "no record has this row"},
		"an alert by creation is gone":  {gone(tableAlertCreated), "not among those of alert by creation"},
		"an alert by entity is gone":    {gone(tableAlertEntity), "not among those of alert by entity"},
		"an alert by incident is gone":  {gone(tableAlertIncident), "its record says"},
		"an incident is gone":           {gone(tableIncident), "is not there or redirected"},
		"an incident by update is gone": {gone(tableIncidentUpdated), "not among those of incident by update"},
		"a change is gone":              {gone(tableChange), "was to come"},
		"a claim of nobody":             {more(tableClaim, id+id, nil), "no record has this row"},
		"a member of nobody":            {more(tableMember, id+strings.Repeat("\x02", 16), nil), "no record has this row"},
		"a weak key of nobody":          {more(tableWeak, id+"\x03"+id, nil), "no record has this row"},
		"a reverse row of no edge":      {more(tableReverse, id+"\x01"+id, nil), "no record has this row"},
		"a mark of no alert":            {more(tableAlertUpdated, "12345678", alertMark{}.encode()), "no record has this row"},
		"a mark that is none":           {more(tableAlertUpdated, "12345678", []byte("mark")), "value version"},
		"a tick of no incident":         {more(tableIncidentCreated, "12345678", number(graph.IncidentID(99))), "no record has this row"},
		"a short key":                   {more(tableClaim, "x", nil), "the key has 1 bytes, not 32"},
		"a home that cannot be read":    {other(tableHome, []byte{valueVersion, 0xff, 1}), "stored value is damaged"},
		"an alert that is no JSON":      {other(tableAlert, []byte{valueVersion, 1, '{'}), "stored value is damaged"},
		"a mark of another":             {other(tableAlertActivity, alertMark{}.encode()), "has another value"},
		"a change of another shape":     {other(tableChange, []byte{valueVersion}), "stored value is damaged"},
		"a document that is none":       {other(tableDocument, nil), "stored value is damaged"},
		"a document without a name":     {more(tableDocument, "\x00", encodeDocument(1, nil)), "names no collection and key"},
		"a document of tomorrow":        {other(tableDocument, encodeDocument(1000, nil)), "ahead of the tenant's"},
		"a batch key of tomorrow":       {other(tableBatchKey, appendNumbers([]byte{valueVersion}, 1000)), "ahead of the tenant's"},
		"another count of edges":        {record(func(r *rules.Tenant) { r.Edges++ }), "edges, the record says"},
		"another count of entities":     {record(func(r *rules.Tenant) { r.Entities-- }), "entities, the record says"},
		"another count of alerts":       {record(func(r *rules.Tenant) { r.Alerts++ }), "alerts, the record says"},
		"another count of incidents":    {record(func(r *rules.Tenant) { r.Position.Incidents++ }), "incidents, the record says"},
		"a clock that is behind":        {record(func(r *rules.Tenant) { r.Clock = 1 }), "ahead of the clock"},
		"a revision that is behind":     {record(func(r *rules.Tenant) { r.Revision-- }), "ahead of the tenant's"},
		"a number given twice":          {record(func(r *rules.Tenant) { r.Next = 0 }), "ahead of the last one given"},
		"an import cut short":           {record(func(r *rules.Tenant) { r.Loading = true }), "nothing is damaged. Import it again"},
		"no record of the tenant":       {gone(tableTenant), "has no record"},
		"a record that is none":         {other(tableTenant, []byte{9}), "value version 9"},
		"a row of an older table":       {more('a', id, []byte("x")), "this format does not have"},
		"claims in a circle": {func(t *testing.T, s *Store) {
			a := readID(firstKey(t, s, tableHome)[1+len(k):])
			b := graph.ID{1, 2, 3}
			rewriteRow(t, s, k.of(tableClaim, a[:], b[:]), nil)
			rewriteRow(t, s, k.of(tableClaim, b[:], a[:]), nil)
		}, "in a circle"},
		"a key without a tenant": {func(t *testing.T, s *Store) { rewriteRow(t, s, []byte{'A', 200, 200}, nil) }, "names no tenant"},
		"a tenant named in more bytes than it needs": {func(t *testing.T, s *Store) {
			rewriteRow(t, s, append([]byte{'A', 0x81, 0x00}, "xrest"...), nil)
		}, "names no tenant"},
		"rows of an unknown tenant": {func(t *testing.T, s *Store) {
			rewriteRow(t, s, keysOf("fabrikam").of(tableAlert, []byte(id)), nil)
		}, "has no record"},
	} {
		t.Run(name, func(t *testing.T) {
			s := someStore(t, Options{FS: vfs.NewMem()})
			defer closeStore(t, s)
			both := observed(graph.KindDevice, graph.KeyMdeDeviceID, "both")
			both.Keys = append(both.Keys, observed(graph.KindDevice, graph.KeyAzureADDeviceID, "68d3b43f-bdb3-4c13-ab37-937902ff1650").Keys...)
			both.Keys = append(both.Keys, observed(graph.KindDevice, graph.KeyHostName, "host").Keys...)
			if _, err := s.Apply(t.Context(), graphtest.Tenant, graph.Batch{Entities: []graph.EntityObservation{both}}); err != nil {
				t.Fatal(err)
			}
			expectSound(t, s)
			c.damage(t, s)
			r := check(t, s)
			if !slices.ContainsFunc(r.First, func(p Problem) bool { return strings.Contains(p.String(), c.says) }) || r.Problems < int64(len(r.First)) {
				t.Errorf("want %q among %d: %v", c.says, r.Problems, r.First)
			}
		})
	}
}

// Bytes of a table that are flipped, whichever: the check names the file, or nothing that is shown depends on them.
func TestADamagedFileIsNamed(t *testing.T) {
	archive, want := twoTables(t)
	random := rand.New(rand.NewPCG(6, 6))
	named, harmless := 0, 0
	for range 8 {
		dir := filepath.Join(t.TempDir(), "store")
		if err := Restore(t.Context(), nil, bytes.NewReader(archive), dir); err != nil {
			t.Fatal(err)
		}
		file := flip(t, dir, random)
		s, err := Open(dir, Options{Salvage: true})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		r, err := s.Check(t.Context(), nil)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch {
		case slices.ContainsFunc(r.First, func(p Problem) bool { return p.File == file && strings.Contains(p.Text, "keys from") }):
			named++
		case r.Problems > 0:
			t.Errorf("%s: %v", file, r.First)
		default:
			if harmless++; contentOf(t, s, graphtest.Tenant) != want {
				t.Errorf("%s: the check found nothing, and other things are shown", file)
			}
		}
		closeStore(t, s)
	}
	t.Logf("of 8: %d named, %d harmless", named, harmless)
	if named < 6 {
		t.Fatal("too few were named")
	}
}

// A store that is not for salvage does not open with a damaged file, or stops at it.
func TestADamagedFileStopsTheStore(t *testing.T) {
	archive, _ := twoTables(t)
	random := rand.New(rand.NewPCG(7, 7))
	for range 2 {
		dir := filepath.Join(t.TempDir(), "store")
		if err := Restore(t.Context(), nil, bytes.NewReader(archive), dir); err != nil {
			t.Fatal(err)
		}
		file := flip(t, dir, random)
		s, err := Open(dir, Options{})
		if err == nil {
			r, checked := s.Check(t.Context(), nil)
			if err = s.Ready(t.Context()); err == nil {
				t.Errorf("%s: the store goes on (%v, %v)", file, r.First, checked)
			}
			_ = s.Close()
		}
		if !strings.Contains(fmt.Sprint(err), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// twoTables is a backup of a store whose rows are in tables, and what it shows.
func twoTables(t *testing.T) (archive []byte, want string) {
	t.Helper()
	s := someStore(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	return backup(t, s), contentOf(t, s, graphtest.Tenant)
}

// flip changes a few bytes of a table's file and names it.
func flip(t *testing.T, dir string, random *rand.Rand) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pebbleName, "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables (%v)", err)
	}
	file := files[random.IntN(len(files))]
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := random.IntN(len(text))
	for i := at; i < min(at+1+random.IntN(16), len(text)); i++ {
		text[i] ^= byte(1 + random.IntN(255))
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return pebbleName + "/" + filepath.Base(file)
}

func TestTheReportIsBoundedAndTheCheckEndsWithItsContext(t *testing.T) {
	s := someStore(t, Options{FS: vfs.NewMem()})
	k := keysOf(graphtest.Tenant)
	b := s.db.NewBatch()
	for i := range 5000 {
		if err := b.Set(k.of(tableClaim, number(uint64(i+1)), bytes.Repeat([]byte{7}, 24)), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.commit(b); err != nil {
		t.Fatal(err)
	}
	told := int64(0)
	r, err := s.Check(t.Context(), func(rows int64) { told = rows })
	if err != nil || r.Problems < 5000 || len(r.First) != MaxProblems || r.Tenants != 1 || told == 0 {
		t.Errorf("%d problems, %d listed, %d rows, told %d (%v)", r.Problems, len(r.First), r.Rows, told, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Check(ctx, func(int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	closeStore(t, s)
	if _, err := s.Check(t.Context(), nil); !errors.Is(err, graph.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}
