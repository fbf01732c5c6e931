package rules

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/clew-security/clew/graph"
)

// homesRemembered bounds the homes that a Memory holds, by half: the younger and the older generation.
const homesRemembered = 16 << 10

// Memory is what a store may remember of one tenant between commits, so that a commit asks only for what can
// be there: a filter of the ids, keys and relations that exist, and the homes used last. It is right as long as
// every commit of the tenant goes through it; else Forget. Its methods may be called concurrently, as long as
// commits come one after another.
type Memory struct {
	mu         sync.Mutex
	young, old map[graph.ID]Home
	seen       filter
	hubs       map[graph.ID]struct{}
	complete   bool // but for the edges of hubs
	epoch      int  // counts what was forgotten
	commits    int  // since then, or since learning failed
	failures   int
	learning   bool
	pending    []Writes
}

// NewMemory remembers nothing yet.
func NewMemory() *Memory {
	return &Memory{young: map[graph.ID]Home{}, hubs: map[graph.ID]struct{}{}}
}

// Forget drops everything: another process has written, or an outcome is unknown.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.young, m.old, m.seen, m.hubs = map[graph.ID]Home{}, nil, filter{}, map[graph.ID]struct{}{}
	m.complete, m.pending = false, nil
	m.epoch++
	m.commits, m.failures, m.learning = 0, 0, false
}

// Committed takes in what the last Commit wrote; to be called when that is durable.
func (m *Memory) Committed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.pending {
		m.add(w)
	}
	m.pending = nil
	m.commits++
}

// Complete reports whether the filter holds all that exists, but for the edges of hubs.
func (m *Memory) Complete() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.complete
}

// Existing is a part of what exists, for a Learner.
type Existing struct {
	// Homes are ids of which anything is stored; Claimed ids that others claim; Weak the ids of weak keys.
	Homes, Claimed, Weak []graph.ID
	Edges                []Ends
	// Hubs are ids whose edges that go out are not all in Edges: the store will be asked for them.
	Hubs []graph.ID
}

// Learner teaches a Memory what exists. It is of no use any more once the Memory forgot something.
type Learner struct {
	memory *Memory
	epoch  int
}

// Learner begins: what is committed from now on need not be among what is read.
func (m *Memory) Learner() Learner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Learner{m, m.epoch}
}

// Due begins, once after each time something was forgotten, when so many commits were made since and it is not
// known what exists: by then it pays to read it. After a failure it does again, each time after twice as many.
func (m *Memory) Due(after int) (l Learner, due bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.learning || m.complete || m.commits < after<<min(m.failures, 20) {
		return l, false
	}
	m.learning = true
	return Learner{m, m.epoch}, true
}

// Failed ends the learner before all parts are in.
func (l Learner) Failed() {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch == l.epoch {
		m.learning, m.commits = false, 0
		m.failures++
	}
}

// Learn takes in a part of what exists. last says that with it all parts are in. It reports whether more is of
// any use.
func (l Learner) Learn(e Existing, last bool) bool {
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch != l.epoch {
		return false
	}
	for _, id := range e.Homes {
		m.seen.add(hashID(saltHome, id))
	}
	for _, id := range e.Claimed {
		m.seen.add(hashID(saltClaimed, id))
	}
	for _, id := range e.Weak {
		m.seen.add(hashID(saltWeak, id))
	}
	for _, at := range e.Edges {
		m.seen.add(hashEnds(at))
	}
	for _, id := range e.Hubs {
		m.hubs[id] = struct{}{}
	}
	m.complete = m.complete || last
	return true
}

// begin starts a commit; what an earlier one wrote without being committed is dropped. A tenant that was never
// written to is known whole.
func (m *Memory) begin(start Tenant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = nil
	m.complete = m.complete || start == Tenant{}
}

// keep remembers a home; where there are too many, those not used since the last time go.
func (m *Memory) keep(id graph.ID, h Home) {
	if len(m.young) >= homesRemembered {
		m.young, m.old = make(map[graph.ID]Home, homesRemembered), m.young
	}
	m.young[id] = h
}

// recall finds a home; ok is false where the store must be asked.
func (m *Memory) recall(id graph.ID) (h Home, ok bool) {
	if h, ok = m.young[id]; ok {
		return h, true
	}
	if h, ok = m.old[id]; ok {
		m.keep(id, h)
		return h, true
	}
	return Home{}, m.complete && !m.seen.has(hashID(saltHome, id))
}

// staged notes a Write until it is committed.
func (m *Memory) staged(w Writes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = append(m.pending, w)
}

// add takes in what a Write brought into being.
func (m *Memory) add(w Writes) {
	for _, h := range w.Homes {
		m.seen.add(hashID(saltHome, h.ID))
		m.keep(h.ID, h.Home)
	}
	for _, a := range w.Atoms {
		for i, k := range a.Bears {
			if k.Strength() == graph.Weak {
				m.seen.add(hashID(saltWeak, a.KeyID(i)))
			}
		}
		for _, id := range a.Claims() {
			m.seen.add(hashID(saltClaimed, id))
		}
	}
	for _, s := range w.Sightings {
		if s.NewEdge {
			m.seen.add(hashEnds(s.Ends))
		}
	}
}

// markFresh finds the ids of which nothing is stored.
func (m *Memory) markFresh(atoms []AtomWrite) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range atoms {
		id := atoms[i].ID
		atoms[i].Fresh = m.complete && !m.seen.has(hashID(saltHome, id)) && !m.seen.has(hashID(saltClaimed, id))
	}
}

// remembering is a Tx that asks its memory first.
type remembering struct {
	Tx
	memory *Memory
}

// ask answers by known where that knows, and puts the rest to the store in one question.
func ask[Q, A any](ctx context.Context, m *Memory, all []Q, known func(Q) (A, bool), store func(context.Context, []Q) ([]A, error), learn func(Q, A)) ([]A, error) {
	out := make([]A, len(all))
	var rest []Q
	var place []int
	m.mu.Lock()
	for i, q := range all {
		a, ok := known(q)
		if ok {
			out[i] = a
		} else {
			rest, place = append(rest, q), append(place, i)
		}
	}
	m.mu.Unlock()
	if len(rest) == 0 {
		return out, nil
	}
	found, err := store(ctx, rest)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, a := range found {
		out[place[i]] = a
		learn(rest[i], a)
	}
	return out, nil
}

// Homes implements Records.
func (r remembering) Homes(ctx context.Context, ids []graph.ID) ([]Home, error) {
	return ask(ctx, r.memory, ids, r.memory.recall, r.Tx.Homes, r.memory.keep)
}

// unseen says that nothing is stored where the filter does not have the hash.
func unseen[Q, A any](m *Memory, hash func(Q) uint64) func(Q) (A, bool) {
	return func(q Q) (none A, ok bool) { return none, m.complete && !m.seen.has(hash(q)) }
}

func nothing[Q, A any](Q, A) {}

// Claimants implements Records.
func (r remembering) Claimants(ctx context.Context, ids []graph.ID) ([][]graph.ID, error) {
	hash := func(id graph.ID) uint64 { return hashID(saltClaimed, id) }
	return ask(ctx, r.memory, ids, unseen[graph.ID, []graph.ID](r.memory, hash), r.Tx.Claimants, nothing)
}

// Bearers implements Records.
func (r remembering) Bearers(ctx context.Context, all []BearerQuery) ([][]Bearer, error) {
	hash := func(q BearerQuery) uint64 { return hashID(saltWeak, q.Key) }
	return ask(ctx, r.memory, all, unseen[BearerQuery, []Bearer](r.memory, hash), r.Tx.Bearers, nothing)
}

// Sightings implements Records.
func (r remembering) Sightings(ctx context.Context, all []SightingKey) ([]Sighted, error) {
	absent := unseen[SightingKey, Sighted](r.memory, func(k SightingKey) uint64 { return hashEnds(k.Ends) })
	known := func(k SightingKey) (none Sighted, ok bool) {
		if _, hub := r.memory.hubs[k.From]; hub {
			return none, false
		}
		return absent(k)
	}
	return ask(ctx, r.memory, all, known, r.Tx.Sightings, nothing)
}

// Write implements Tx.
func (r remembering) Write(ctx context.Context, w Writes) error {
	r.memory.markFresh(w.Atoms)
	r.memory.staged(w)
	return r.Tx.Write(ctx, w)
}

// Salts keep apart the hashes of different things.
const (
	saltHome    = 0x9e3779b97f4a7c15
	saltClaimed = 0xc2b2ae3d27d4eb4f
	saltWeak    = 0x165667b19e3779f9
	saltEdge    = 0xd6e8feb86659fd93
)

// hashID mixes an id, whose bytes are a digest already.
func hashID(salt uint64, id graph.ID) uint64 {
	return mix(binary.LittleEndian.Uint64(id[8:]) ^ salt + uint64(id[0]))
}

func hashEnds(at Ends) uint64 {
	return mix(hashID(saltEdge, at.From)*3 + hashID(saltHome, at.To) + uint64(at.Kind))
}

// mix is the finalizer of splitmix64.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
