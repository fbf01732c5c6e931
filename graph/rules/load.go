package rules

import (
	"cmp"
	"fmt"
	"iter"

	"github.com/clew-security/clew/graph"
)

// loadAtOnce and loadBytes bound one part of an import, in records and their bytes as JSON: a part is in memory,
// and on Neo4j one transaction.
const (
	loadAtOnce = 2000
	loadBytes  = 8 << 20
)

// Load turns the records that graph.Mover's Export gives into Writes, for Import. write makes one part after
// another durable; in each the tenant's record says Loading, except in the last. What the records claim about
// one another (ends, nodes, members, alerts of incidents, ticks) is checked, not believed. Before the last part
// what was stored is compared with what was given: again yields the records of what is stored, without the
// tenant's.
func Load(records iter.Seq2[graph.Record, error], write func(Writes) error, again iter.Seq2[graph.Record, error]) error {
	l := newLoader(write)
	for r, err := range records {
		if err != nil {
			return err
		}
		if err := l.take(r); err != nil {
			return fmt.Errorf("%w: record %d: %v", graph.ErrInvalid, l.count, err)
		}
		if l.part > partHome {
			if err := l.join(); err != nil {
				return err
			}
		}
		if l.n++; l.n >= loadAtOnce || l.bytes >= loadBytes {
			if err := l.flush(Tenant{Loading: true}); err != nil {
				return err
			}
		}
	}
	if l.part == 0 {
		return fmt.Errorf("%w: there are no records", graph.ErrInvalid)
	}
	if err := l.checkWhole(); err != nil {
		return fmt.Errorf("%w: %v", graph.ErrInvalid, err)
	}
	if err := l.join(); err != nil {
		return err
	}
	if err := l.flush(Tenant{Loading: true}); err != nil {
		return err
	}
	if err := l.compare(again); err != nil {
		return err
	}
	return l.flush(l.row)
}

// join writes which node the ids belong to, when all of them are there.
func (l *loader) join() error {
	for len(l.moves) > 0 {
		if err := l.flush(Tenant{Loading: true}); err != nil {
			return err
		}
		n := min(len(l.moves), loadAtOnce)
		l.out.Moves, l.moves = l.moves[:n], l.moves[n:]
	}
	return nil
}

// compare refuses a store that holds anything else than what was given.
func (l *loader) compare(again iter.Seq2[graph.Record, error]) error {
	held := graph.NewRecordSum()
	for r, err := range again {
		if err != nil {
			return fmt.Errorf("reading what was imported: %w", err)
		}
		if _, err := held.Add(r); err != nil {
			return err
		}
	}
	if held.Records != l.sum.Records || held.SHA256() != l.sum.SHA256() {
		return fmt.Errorf("%w: the store would hold other records than it was given: %d with SHA-256 %s, given %d with %s (one comes twice, out of order, or nothing belongs to it)",
			graph.ErrInvalid, held.Records, held.SHA256(), l.sum.Records, l.sum.SHA256())
	}
	return nil
}

// The order of the records.
const (
	partTenant = iota + 1
	partHome
	partSighting
	partIncident
	partAlert
	partDocument
	partBatchKey
)

// loader remembers what later records lean on.
type loader struct {
	write    func(Writes) error
	part     int
	count    int // records in all
	n, bytes int // records and their bytes since the last flush
	sum      *graph.RecordSum
	out      Writes
	row      Tenant

	observed  map[graph.ID]bool
	claims    []claim
	nodes     map[graph.ID]graph.ID // of those that belong to another
	members   map[graph.ID]int      // what nodes say less what there is
	moves     []Move                // not written yet
	last      *SightingKey
	incidents map[graph.IncidentID]bool // true where live
	alerts    map[graph.IncidentID]int  // what incidents say less what there is
	known     map[graph.ID]bool         // alerts
	ticks     [4]map[graph.Tick]bool
}

func newLoader(write func(Writes) error) *loader {
	l := &loader{
		write: write, sum: graph.NewRecordSum(), observed: map[graph.ID]bool{}, nodes: map[graph.ID]graph.ID{}, members: map[graph.ID]int{},
		incidents: map[graph.IncidentID]bool{}, alerts: map[graph.IncidentID]int{},
		known: map[graph.ID]bool{},
	}
	for i := range l.ticks {
		l.ticks[i] = map[graph.Tick]bool{}
	}
	return l
}

func (l *loader) flush(row Tenant) error {
	l.out.Tenant = row
	err := l.write(l.out)
	l.out, l.n, l.bytes = Writes{}, 0, 0
	return err
}

func (l *loader) take(r graph.Record) error {
	l.count++
	part, step := partOf(r)
	if part == 0 || part < l.part || (l.part == 0) != (part == partTenant) {
		return fmt.Errorf("out of order, or of no known kind")
	}
	if things(r) > 1 {
		return fmt.Errorf("it is several records in one")
	}
	if l.part == partHome && part > partHome {
		if err := l.checkNodes(); err != nil {
			return err
		}
	}
	if l.part = part; part != partTenant {
		line, err := l.sum.Add(r)
		if err != nil {
			return err
		}
		l.bytes += len(line)
	}
	return step(l)
}

// things counts what a record is.
func things(r graph.Record) (n int) {
	for _, is := range []bool{
		r.Tenant != nil, r.Home != nil, r.Sighting != nil, r.Incident != nil, r.Alert != nil, r.Document != nil, r.BatchKey != nil,
	} {
		if is {
			n++
		}
	}
	return n
}

func partOf(r graph.Record) (int, func(*loader) error) {
	switch {
	case r.Tenant != nil:
		return partTenant, func(l *loader) error { return l.tenant(*r.Tenant) }
	case r.Home != nil:
		return partHome, func(l *loader) error { return l.home(*r.Home) }
	case r.Sighting != nil:
		return partSighting, func(l *loader) error { return l.sighting(*r.Sighting) }
	case r.Incident != nil:
		return partIncident, func(l *loader) error { return l.incident(*r.Incident) }
	case r.Alert != nil:
		return partAlert, func(l *loader) error { return l.alert(*r.Alert) }
	case r.Document != nil:
		return partDocument, func(l *loader) error { return l.document(*r.Document) }
	case r.BatchKey != nil:
		return partBatchKey, func(l *loader) error { return l.batchKey(*r.BatchKey) }
	}
	return 0, nil
}

func (l *loader) tenant(r graph.TenantRecord) error {
	l.row.Revision, l.row.Clock, l.row.Next, l.row.Trimmed = r.Revision, r.Clock, r.Incidents, r.Revision
	return l.row.check()
}

func (l *loader) revision(r graph.Revision) error {
	if r > l.row.Revision {
		return fmt.Errorf("revision %d is beyond the tenant's %d", r, l.row.Revision)
	}
	return nil
}

func (l *loader) home(r graph.HomeRecord) error {
	_, again := l.observed[r.ID]
	if again || !r.ID.Kind().Entity() || (r.Facts == nil && r.Node.IsZero()) {
		return fmt.Errorf("entity %s comes twice, says nothing or is none", r.ID)
	}
	if r.Node == r.ID || !r.Node.IsZero() && (r.Revision != 0 || r.Members != 0) {
		return fmt.Errorf("entity %s belongs to itself, or to another and has what only a node has", r.ID)
	}
	if err := cmp.Or(r.Check(), l.revision(r.Revision)); err != nil {
		return err
	}
	l.observed[r.ID] = r.Facts != nil
	h := Home{Node: r.ID}
	if r.Facts != nil {
		h.Facts = *r.Facts
		l.claim(r.ID, h.Facts.Keys)
		a := AtomWrite{ID: r.ID, Facts: h.Facts, New: true, Bears: h.Facts.Keys}
		l.out.Atoms = append(l.out.Atoms, a)
	}
	if !r.Node.IsZero() {
		h.Node, l.nodes[r.ID] = r.Node, r.Node
		l.members[r.Node]--
		l.moves = append(l.moves, Move{r.ID, r.ID, r.Node})
	} else {
		h.Revision, h.Members = r.Revision, r.Members
		l.members[r.ID] += r.Members
		l.row.Entities++
		l.out.Nodes = append(l.out.Nodes, NodeWrite{ID: r.ID, Revision: r.Revision, Members: r.Members})
	}
	l.out.Homes = append(l.out.Homes, HomeWrite{r.ID, h})
	return nil
}

func (l *loader) sighting(r graph.SightingRecord) error {
	key := SightingKey{Ends{r.From, r.Kind, r.To}, r.Observation}
	if err := r.Check(); err != nil {
		return err
	}
	if !l.observed[r.From] || !l.observed[r.To] {
		return fmt.Errorf("an end of the edge is not there")
	}
	isNew := l.last == nil || l.last.Ends != key.Ends
	if l.last != nil && cmp.Or(l.last.Compare(key.Ends), l.last.Observation.Compare(key.Observation)) >= 0 {
		return fmt.Errorf("the edge is out of order")
	}
	if isNew {
		l.row.Edges++
	}
	l.last = &key
	l.out.Sightings = append(l.out.Sightings, SightingWrite{key, r.Sighting, isNew, true})
	return nil
}

// tick takes a tick that no other item of its kind has.
func (l *loader) tick(seen map[graph.Tick]bool, t graph.Tick) error {
	if t <= 0 || t > l.row.Clock || seen[t] {
		return fmt.Errorf("tick %s comes twice or is beyond the tenant's clock", t)
	}
	seen[t] = true
	return nil
}

func (l *loader) incident(r graph.IncidentRecord) error {
	i := r.Incident
	i.Revision = r.Revision
	if _, again := l.incidents[i.ID]; again || i.ID == 0 || i.ID > l.row.Next {
		return fmt.Errorf("incident %s comes twice or has no possible number", i.ID)
	}
	if i.RedirectTo != 0 {
		if _, there := l.incidents[i.RedirectTo]; !there {
			return fmt.Errorf("incident %s points to one that did not come before it", i.ID)
		}
	}
	if err := l.standing(&i); err != nil {
		return err
	}
	change := graph.IncidentChange{ID: i.ID, Facts: &i.IncidentFacts}
	if err := cmp.Or(change.Check(), l.revision(i.Revision), l.tick(l.ticks[0], i.Created), l.tick(l.ticks[1], i.Updated)); err != nil {
		return err
	}
	l.incidents[i.ID], l.alerts[i.ID] = i.RedirectTo == 0, i.AlertCount
	l.row.Incidents += liveCount(&i)
	l.out.Incidents = append(l.out.Incidents, IncidentWrite{Next: &i})
	return nil
}

// standing checks what only a live incident has and what only a redirected one. Links may name alerts that have gone
// since.
func (l *loader) standing(i *graph.Incident) error {
	switch live := i.RedirectTo == 0; {
	case live != (i.AlertCount > 0):
		return fmt.Errorf("incident %s has %d alerts and redirects to %q", i.ID, i.AlertCount, i.RedirectTo)
	case live && i.Triage.Status == graph.StatusRedirected:
		return fmt.Errorf("incident %s is redirected to none", i.ID)
	}
	return nil
}

func (l *loader) alert(r graph.AlertRecord) error {
	a := r.Alert
	a.Revision = r.Revision
	if err := cmp.Or(r.Check(), l.revision(a.Revision), l.tick(l.ticks[2], a.Created), l.tick(l.ticks[3], a.Updated)); err != nil {
		return err
	}
	for _, e := range a.Entities() {
		if !l.observed[e] {
			return fmt.Errorf("entity %s, which alert %s has evidence of, is not there", e, a.ID)
		}
	}
	if a.Incident != 0 && !l.incidents[a.Incident] {
		return fmt.Errorf("alert %s is in no live incident", a.ID)
	}
	if a.Incident != 0 {
		l.alerts[a.Incident]--
	}
	if l.known[a.ID] {
		return fmt.Errorf("alert %s comes twice", a.ID)
	}
	l.known[a.ID] = true
	l.row.Alerts++
	l.out.Alerts = append(l.out.Alerts, AlertWrite{Next: &a})
	return nil
}

func (l *loader) document(r graph.DocumentRecord) error {
	if r.Collection == "" || r.Key == "" || r.Revision == 0 {
		return fmt.Errorf("a document has no collection, key or revision")
	}
	if r.Value == nil {
		r.Value = []byte{}
	}
	l.out.Documents = append(l.out.Documents, graph.Document{
		DocumentKey: graph.DocumentKey{Collection: r.Collection, Key: r.Key}, Value: r.Value, Revision: r.Revision,
	})
	return l.revision(r.Revision)
}

func (l *loader) batchKey(r graph.BatchKeyRecord) error {
	if r.Key == "" {
		return fmt.Errorf("a batch key is empty")
	}
	l.out.BatchKeys = append(l.out.BatchKeys, r)
	return l.revision(r.Revision)
}

// checkWhole looks at what only the end can show.
func (l *loader) checkWhole() error {
	if l.part == partHome {
		if err := l.checkNodes(); err != nil {
			return err
		}
	}
	for id, n := range l.alerts {
		if n != 0 {
			return fmt.Errorf("incident %s has not as many alerts as it says", id)
		}
	}
	return nil
}
