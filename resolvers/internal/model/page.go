package model

import (
	"context"
	"fmt"
	"sync"

	"github.com/clew-security/clew/graph"
)

// DefaultFirst and MaxFirst are the items of a page that names no number, and the most of any.
const (
	DefaultFirst = 50
	MaxFirst     = 500
)

// PageSize is the number of items that `first` asks for. The error wraps graph.ErrInvalid.
func PageSize(first *int32) (int, error) {
	if first == nil {
		return DefaultFirst, nil
	}
	if *first < 1 || *first > MaxFirst {
		return 0, fmt.Errorf("%w: first is %d, 1 to %d are possible", graph.ErrInvalid, *first, MaxFirst)
	}
	return int(*first), nil
}

// PageInfo is where a page stands in its list.
type PageInfo struct {
	HasNextPage, HasPreviousPage bool
	StartCursor, EndCursor       string
}

// paging is which part of a list is asked for.
type paging struct {
	list  string
	first int
	after []byte // sort key; nil from the start
}

// paging reads the arguments of a list whose sort keys have size bytes. list tells it from other lists,
// filter, order and parent included. Errors: graph.ErrInvalid, ErrCursor.
func (s *Session) paging(list string, size int, first *int32, after *string) (paging, error) {
	n, err := PageSize(first)
	if err != nil || after == nil {
		return paging{list: list, first: n}, err
	}
	key, err := s.Cursors.open(s.View, list, *after, size)
	return paging{list, n, key}, err
}

// question names the paging among siblings: the list's own name has the parent in it.
func (p paging) question() string { return fmt.Sprintf("%d after %x", p.first, p.after) }

// count is how many items a list has.
type count struct {
	total  int
	capped bool
}

// page is the part that all connections share.
type page struct {
	PageInfo *PageInfo
	cursor   func(i int) string // of an item; sealing all is work that few ask for
	count    func(context.Context) (count, error)
}

// page closes the items with these sort keys, of which more follow.
func (s *Session) page(p paging, sortKeys [][]byte, more bool, counter func(context.Context) (count, error)) page {
	out := page{
		PageInfo: &PageInfo{HasNextPage: more, HasPreviousPage: p.after != nil},
		cursor:   func(i int) string { return s.Cursors.seal(s.View, p.list, sortKeys[i]) },
		count:    onceCounted(counter),
	}
	if n := len(sortKeys); n > 0 {
		out.PageInfo.StartCursor, out.PageInfo.EndCursor = out.cursor(0), out.cursor(n-1)
	}
	return out
}

// onceCounted counts when the first of totalCount and totalCountCapped is asked for.
func onceCounted(counter func(context.Context) (count, error)) func(context.Context) (count, error) {
	var once sync.Once
	var c count
	err := errPanicked
	return func(ctx context.Context) (count, error) {
		once.Do(func() { c, err = counter(ctx) })
		return c, err
	}
}

// counted is the counter of a list whose length is known, told up to graph.MaxCount.
func counted(n int) func(context.Context) (count, error) {
	return func(context.Context) (count, error) { return count{min(n, graph.MaxCount), n > graph.MaxCount}, nil }
}

// TotalCount is how many items the whole list has, up to graph.MaxCount.
func (p page) TotalCount(ctx context.Context) (int, error) {
	c, err := p.count(ctx)
	return c.total, err
}

// TotalCountCapped reports whether the list has more than TotalCount.
func (p page) TotalCountCapped(ctx context.Context) (bool, error) {
	c, err := p.count(ctx)
	return c.capped, err
}

// edgesOf pairs the items of a page with their cursors.
func edgesOf[N, E any](p page, nodes []N, edge func(string, N) E) []E {
	out := make([]E, len(nodes))
	for i, n := range nodes {
		out[i] = edge(p.cursor(i), n)
	}
	return out
}

// cut takes the page out of sorted items: those behind the cursor, first of them.
func cut[T any](items []T, p paging, sortKey func(T) []byte) (part []T, more bool) {
	for _, v := range items {
		if p.after != nil && string(sortKey(v)) <= string(p.after) {
			continue
		}
		if len(part) == p.first {
			return part, true
		}
		part = append(part, v)
	}
	return part, false
}

func keysOf[T any](items []T, sortKey func(T) []byte) [][]byte {
	out := make([][]byte, len(items))
	for i, v := range items {
		out[i] = sortKey(v)
	}
	return out
}
