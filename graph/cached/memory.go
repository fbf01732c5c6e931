package cached

import (
	"hash/maphash"
	"sync"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"

	"github.com/clew-security/clew/graph"
)

// memory is the first tier, bounded in bytes and time.
type memory struct{ kept *otter.Cache[key, *value] }

// entryBytes is what an entry takes besides its value: key, struct and the cache's own.
const entryBytes = int(unsafe.Sizeof(key{})+unsafe.Sizeof(value{})) + 128

func newMemory(o Options) (*memory, error) {
	c, err := otter.New(&otter.Options[key, *value]{
		MaximumWeight:    uint64(o.MemoryBytes),
		Weigher:          func(k key, v *value) uint32 { return uint32(entryBytes + len(k.tenant) + len(k.access) + v.bytes) },
		ExpiryCalculator: otter.ExpiryWriting[key, *value](o.Keep),
	})
	return &memory{c}, err
}

func (m *memory) get(k key) (*value, bool) { return m.kept.GetIfPresent(k) }

func (m *memory) put(k key, v *value) { m.kept.Set(k, v) }

func (m *memory) close() {
	m.kept.InvalidateAll()
	m.kept.StopAllGoroutines()
}

// maxRecent bounds one generation of what was asked for.
const maxRecent = 1 << 14

// recent tells what was asked for before, so that a crawl through all incidents pushes nothing out. It forgets
// in generations, each at most maxRecent things or a span of time; two things may rarely be taken for one,
// which keeps the second too early and does no harm.
type recent struct {
	span      time.Duration
	seed      maphash.Seed
	mu        sync.Mutex
	began     time.Time
	now, last map[uint64]struct{}
}

func newRecent(span time.Duration) *recent {
	return &recent{span: span, seed: maphash.MakeSeed(), now: map[uint64]struct{}{}}
}

// again notes the thing, and reports whether it was noted before.
func (r *recent) again(k key, at time.Time) bool {
	h := maphash.Comparable(r.seed, k)
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := at.Sub(r.began); len(r.now) >= maxRecent || age >= r.span || age < 0 {
		r.last, r.now, r.began = r.now, map[uint64]struct{}{}, at
		if age >= 2*r.span {
			r.last = nil
		}
	}
	_, now := r.now[h]
	_, last := r.last[h]
	r.now[h] = struct{}{}
	return now || last
}

func incidentBytes(i graph.Incident) int {
	n := len(i.DisplayName) + 16*(len(i.ServiceSources)+len(i.MitreTechniques))
	for _, l := range i.Links {
		n += int(unsafe.Sizeof(l)) + 16*(len(l.Entities)+len(l.Reasons)) + len(l.Rule)
	}
	return n
}

// alertsBytes goes by the bytes of texts and raw values, which are most of an alert, and by its structs.
func alertsBytes(alerts []graph.Alert) int {
	n := structBytes(alerts)
	for i := range alerts {
		a := &alerts[i]
		n += len(a.Title) + len(a.Description) + len(a.Recommended) + len(a.Source) + smallTexts
		for _, e := range a.Evidence {
			n += len(e.Body) + len(e.Original)
		}
	}
	return n
}

// smallTexts is about what the other texts of an alert take.
const smallTexts = 256

func structBytes(alerts []graph.Alert) (n int) {
	for i := range alerts {
		n += int(unsafe.Sizeof(alerts[i])) + 16*len(alerts[i].MitreTechniques)
		for _, e := range alerts[i].Evidence {
			n += int(unsafe.Sizeof(e)) + 16*len(e.Mentions)
		}
	}
	return n
}

func entitiesBytes(entities []graph.Entity) int {
	n := 0
	for _, e := range entities {
		n += int(unsafe.Sizeof(e)) + 16*(len(e.Members)+len(e.PossiblySameAs)+len(e.Sources))
		for _, k := range e.Keys {
			n += int(unsafe.Sizeof(k)) + len(k.Value)
		}
		for name, p := range e.Properties {
			n += 2*int(unsafe.Sizeof(p)) + len(name) + len(p.Value)
		}
	}
	return n
}
