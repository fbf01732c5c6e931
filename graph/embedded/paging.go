package embedded

import (
	"cmp"
	"slices"

	"github.com/clew-security/clew/graph"
)

// candidate is an item that may be on the page, by the tick that orders it.
type candidate[K any] struct {
	tick graph.Tick
	id   K
}

// source gives candidates in the order of the page until it is told to stop.
type source[K any] func(visit func(candidate[K]) (stop bool, err error)) error

// pager cuts pages of items T named by K.
type pager[K, T any] struct {
	graph.Paging
	// load reads an item; ok is false where there is none.
	load func(K) (item T, ok bool, err error)
	// match is nil where every item matches.
	match func(T) (bool, error)
	ticks func(T) (created, updated graph.Tick)
	// listed keeps the order of the source, and After means nothing.
	listed bool

	items []T
	total int
	more  bool
}

// page reads from the source what the page needs, and to the end of the count where that is asked for.
func (p *pager[K, T]) page(from source[K], bound graph.Tick) ([]T, graph.PageInfo, error) {
	err := from(p.visit)
	info := graph.PageInfo{More: p.more, Bound: bound}
	if p.Count {
		info.Total, info.TotalCapped = min(p.total, graph.MaxCount), p.total > graph.MaxCount
	}
	return p.items, info, err
}

func (p *pager[K, T]) visit(c candidate[K]) (stop bool, err error) {
	behind := p.listed || isBehind(p.Paging, c.tick)
	if !behind && !p.Count {
		return false, nil
	}
	full := len(p.items) == graph.PageLimit(p.Limit)
	var item T
	if !full || p.selective() {
		fits := false
		if item, fits, err = p.read(c.id); err != nil || !fits {
			return false, err
		}
	}
	p.total++
	switch {
	case !behind:
	case full:
		p.more = true
	default:
		p.items = append(p.items, item)
	}
	return p.more && (!p.Count || p.total > graph.MaxCount), nil
}

// selective reports whether a candidate must be read to know that it counts.
func (p *pager[K, T]) selective() bool {
	other := p.Updated
	if p.Order.ByUpdate() {
		other = p.Created
	}
	return p.listed || p.match != nil || other != graph.TickRange{}
}

func (p *pager[K, T]) read(id K) (item T, fits bool, err error) {
	item, ok, err := p.load(id)
	if err != nil || !ok {
		return item, false, err
	}
	created, updated := p.ticks(item)
	if !p.Created.Contains(created) || !p.Updated.Contains(updated) {
		return item, false, nil
	}
	if p.match == nil {
		return item, true, nil
	}
	fits, err = p.match(item)
	return item, fits, err
}

// isBehind reports whether a tick comes behind p.After in the page's order.
func isBehind(p graph.Paging, tick graph.Tick) bool {
	switch {
	case p.After == 0:
		return true
	case p.Order.Newest():
		return tick < p.After
	}
	return tick > p.After
}

// needed is the range of the ticks that order the page which the page can need.
func needed(p graph.Paging) graph.TickRange {
	r := p.Created
	if p.Order.ByUpdate() {
		r = p.Updated
	}
	if !p.Count && p.After != 0 {
		if p.Order.Newest() && (r.Before == 0 || p.After < r.Before) {
			r.Before = p.After
		} else if !p.Order.Newest() {
			r.From = max(r.From, p.After+1)
		}
	}
	return r
}

// during is the part of a prefix, behind which ticks come, that lies in the range.
func during(prefix []byte, r graph.TickRange) span {
	s := under(prefix)
	if r.From > 0 {
		s.lower = slices.Concat(prefix, number(r.From))
	}
	if r.Before > 0 {
		s.upper = slices.Concat(prefix, number(r.Before))
	}
	return s
}

// byTick gives what an index of ticks lists, limited to what the page can need; read makes a candidate of a
// row's value, or none where it cannot be wanted.
func byTick[K any](v view, p graph.Paging, created, updated table, read func(value []byte) (c candidate[K], ok bool, err error)) source[K] {
	t := created
	if p.Order.ByUpdate() {
		t = updated
	}
	s := during(v.keys.of(t), needed(p))
	s.backwards = p.Order.Newest()
	return func(visit func(candidate[K]) (bool, error)) error {
		return v.scan(s, func(key, value []byte) (bool, error) {
			c, ok, err := read(value)
			if err != nil || !ok {
				return false, err
			}
			c.tick = readNumber[graph.Tick](key)
			return visit(c)
		})
	}
}

// byOrder compares by tick as the page wants.
func byOrder[K any](o graph.TickOrder, a, b candidate[K]) int {
	if o.Newest() {
		a, b = b, a
	}
	return cmp.Compare(a.tick, b.tick)
}

// inOrder gives these candidates, sorted as the page wants, each once: ticks are unique.
func inOrder[K comparable](o graph.TickOrder, all []candidate[K]) source[K] {
	slices.SortFunc(all, func(a, b candidate[K]) int { return byOrder(o, a, b) })
	return asListed(slices.Compact(all))
}

func asListed[K any](all []candidate[K]) source[K] {
	return func(visit func(candidate[K]) (bool, error)) error {
		for _, c := range all {
			if stop, err := visit(c); stop || err != nil {
				return err
			}
		}
		return nil
	}
}

// listed makes candidates of ids that were asked for, each once.
func listed[K comparable](ids []K) []candidate[K] {
	seen, out := map[K]bool{}, []candidate[K]{}
	for _, id := range ids {
		if !seen[id] {
			seen[id], out = true, append(out, candidate[K]{id: id})
		}
	}
	return out
}

func anyOf[T comparable](allowed []T, v T) bool { return allowed == nil || slices.Contains(allowed, v) }
