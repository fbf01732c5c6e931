package traverse

import "slices"

// smallest keeps the n smallest of what is added.
type smallest[T any] struct {
	n       int
	compare func(a, b T) int
	// items are those, once there are n as a heap with the greatest on top.
	items []T
}

func (h *smallest[T]) add(x T) {
	switch {
	case len(h.items) < h.n:
		if h.items = append(h.items, x); len(h.items) == h.n {
			for i := h.n/2 - 1; i >= 0; i-- {
				h.sink(i)
			}
		}
	case !h.refuses(x):
		h.items[0] = x
		h.sink(0)
	}
}

// refuses reports whether x is not among the smallest.
func (h *smallest[T]) refuses(x T) bool { return len(h.items) == h.n && h.compare(x, h.items[0]) >= 0 }

// sink moves an item down to where none below it is greater.
func (h *smallest[T]) sink(i int) {
	for {
		great := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h.items); c++ {
			if h.compare(h.items[c], h.items[great]) > 0 {
				great = c
			}
		}
		if great == i {
			return
		}
		h.items[i], h.items[great], i = h.items[great], h.items[i], great
	}
}

// sorted gives what was kept, the smallest first.
func (h *smallest[T]) sorted() []T {
	slices.SortFunc(h.items, h.compare)
	return h.items
}
