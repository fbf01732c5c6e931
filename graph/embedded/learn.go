package embedded

import (
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// learnAfter is the number of commits after which it pays to read what a tenant has, so that later ones need
// not ask for what is not there.
const learnAfter = 4

// learnAtOnce bounds what is handed to the memory at a time.
const learnAtOnce = 4096

// learn starts reading what exists of a tenant when it is due.
func (s *Store) learn(id graph.TenantID, m *rules.Memory) {
	learner, due := m.Due(learnAfter)
	if !due || s.enter(s.open) != nil {
		return
	}
	go func() {
		defer s.leave()
		if err := (view{s.open, s.db, keysOf(id)}).teach(learner); err != nil { // what cannot be read stays unknown, which is only slower
			learner.Failed()
		}
	}()
}

// teach tells a memory what exists, table by table.
func (v view) teach(l rules.Learner) error {
	var e rules.Existing
	for _, part := range []struct {
		table table
		take  func(key []byte)
	}{
		{tableHome, func(key []byte) { e.Homes = append(e.Homes, readID(key)) }},
		{tableClaim, func(key []byte) { e.Claimed = append(e.Claimed, readID(key)) }},
		{tableWeak, func(key []byte) { e.Weak = append(e.Weak, readID(key)) }},
		{tableReverse, func(key []byte) {
			e.Edges = append(e.Edges, rules.Ends{From: readID(key[17:]), Kind: graph.EdgeKind(key[16]), To: readID(key)})
		}},
	} {
		n := 0
		err := v.scan(under(v.keys.of(part.table)), func(key, _ []byte) (bool, error) {
			part.take(key)
			if n++; n%learnAtOnce == 0 {
				useful := l.Learn(e, false)
				e = rules.Existing{}
				return !useful, nil
			}
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	l.Learn(e, true)
	return nil
}
