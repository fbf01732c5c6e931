package embedded

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
)

// view reads one tenant's rows, of a snapshot or of a commit in the making: the same code answers both. It
// lives for one call, which is why it holds that call's context.
type view struct {
	ctx  context.Context
	rows pebble.Reader
	keys keys
}

// get calls found with the value, which is only valid during the call.
func (v view) get(key []byte, found func(value []byte) error) (ok bool, err error) {
	value, closer, err := v.rows.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(found(value), closer.Close())
}

func (v view) has(key []byte) (bool, error) { return v.get(key, func([]byte) error { return nil }) }

// span is a part of a table, from lower to before upper.
type span struct {
	lower, upper []byte
	backwards    bool
}

func under(prefix []byte) span { return span{lower: prefix, upper: after(prefix)} }

// scan calls row for each key, cut of table and tenant, until it says stop; both slices are only valid during the call.
func (v view) scan(s span, row func(key, value []byte) (stop bool, err error)) (err error) {
	if s.upper != nil && bytes.Compare(s.lower, s.upper) >= 0 {
		return nil
	}
	it, err := v.rows.NewIter(&pebble.IterOptions{LowerBound: s.lower, UpperBound: s.upper})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	step, ok := it.Next, false
	if s.backwards {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	for n := 0; ok; ok, n = step(), n+1 {
		if n%256 == 0 && v.ctx.Err() != nil {
			return v.ctx.Err()
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if stop, err := row(v.keys.rest(it.Key()), value); stop || err != nil {
			return err
		}
	}
	return it.Error()
}

// ids lists the id that ends each key of the span.
func (v view) ids(s span) (out []graph.ID, err error) {
	err = v.scan(s, func(key, _ []byte) (bool, error) {
		out = append(out, readID(key[len(key)-16:]))
		return false, nil
	})
	return out, err
}

func (v view) tenantRow() (t rules.Tenant, err error) {
	_, err = v.get(v.keys.of(tableTenant), func(value []byte) (err error) {
		t, err = decodeTenant(value)
		return err
	})
	return t, err
}

// head reads what is stored of an id except its facts; ok is false where nothing is.
func (v view) head(id graph.ID) (h rules.Home, observed bool, err error) {
	h.Node = id
	_, err = v.get(v.keys.of(tableHome, id[:]), func(value []byte) (err error) {
		h, observed, _, err = decodeHead(id, value)
		return err
	})
	return h, observed, err
}

// home reads all that is stored of an id.
func (v view) home(id graph.ID) (h rules.Home, err error) {
	h.Node = id
	_, err = v.get(v.keys.of(tableHome, id[:]), func(value []byte) (err error) {
		h, err = decodeHome(id, value)
		return err
	})
	return h, err
}

// canonical is the id of the node that id belongs to; id itself where nothing else is known.
func (v view) canonical(id graph.ID) (graph.ID, error) {
	h, _, err := v.head(id)
	return h.Node, err
}

func (v view) canonicals(ids []graph.ID) ([]graph.ID, error) {
	out := make([]graph.ID, 0, len(ids))
	for _, id := range ids {
		c, err := v.canonical(id)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.SortFunc(out, graph.ID.Compare)
	return slices.Compact(out), nil
}

func (v view) members(canonical graph.ID) ([]graph.ID, error) {
	return v.ids(under(v.keys.of(tableMember, canonical[:])))
}

// claimants implements graph.Claims.
func (v view) claimants(id graph.ID) ([]graph.ID, error) {
	return v.ids(under(v.keys.of(tableClaim, id[:])))
}

func (v view) alert(id graph.ID) (a graph.Alert, ok bool, err error) {
	ok, err = v.get(v.keys.of(tableAlert, id[:]), func(value []byte) (err error) {
		a.Revision, err = decodeRecord(value, &a)
		return err
	})
	return a, ok, err
}

func (v view) incident(id graph.IncidentID) (i graph.Incident, ok bool, err error) {
	ok, err = v.get(v.keys.of(tableIncident, number(id)), func(value []byte) (err error) {
		i.Revision, err = decodeRecord(value, &i)
		return err
	})
	return i, ok, err
}

// live follows redirects; zero where the incident is unknown.
func (v view) live(id graph.IncidentID) (graph.IncidentID, error) {
	for {
		i, ok, err := v.incident(id)
		if err != nil || !ok {
			return 0, err
		}
		if i.RedirectTo == 0 {
			return id, nil
		}
		id = i.RedirectTo
	}
}

func (v view) document(k graph.DocumentKey) (d graph.Document, ok bool, err error) {
	d.DocumentKey = k
	ok, err = v.get(v.keys.document(k), func(value []byte) (err error) {
		d.Revision, d.Value, err = decodeDocument(value)
		return err
	})
	return d, ok, err
}

// encodeDocument writes the revision, then the value as it is.
func encodeDocument(revision graph.Revision, value []byte) []byte {
	return append(appendNumbers([]byte{valueVersion}, uint64(revision)), value...)
}

func decodeDocument(v []byte) (graph.Revision, []byte, error) {
	n, value, err := readNumbers(v, 1)
	if err != nil {
		return 0, nil, err
	}
	return graph.Revision(n[0]), append([]byte{}, value...), nil
}

// position implements graph.Reader's Position.
func (v view) position() (graph.Position, error) {
	t, err := v.tenantRow()
	return t.Position, err
}

// documents implements graph.Reader's Documents.
func (v view) documents(q graph.DocumentQuery) (out []graph.Document, err error) {
	collection := v.keys.collection(q.Collection)
	s := under(append(slices.Clone(collection), q.Prefix...))
	if q.After != "" {
		s.lower = slices.MaxFunc([][]byte{s.lower, next(append(slices.Clone(collection), q.After...))}, bytes.Compare)
	}
	limit, head := graph.PageLimit(q.Limit), len(v.keys.rest(collection))
	err = v.scan(s, func(key, value []byte) (bool, error) {
		d := graph.Document{DocumentKey: graph.DocumentKey{Collection: q.Collection, Key: string(key[head:])}}
		var err error
		d.Revision, d.Value, err = decodeDocument(value)
		out = append(out, d)
		return len(out) == limit, err
	})
	return out, err
}
