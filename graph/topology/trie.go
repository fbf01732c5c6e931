package topology

import (
	"iter"
	"math/bits"
	"slices"

	"github.com/clew-security/clew/graph"
)

// trie is a persistent map by id, in order of id. Setting copies the few branches on the way, unless the same
// edit made them: a copy of the trie taken before the next edit began stays as it was, for any reader.
type trie[V any] struct {
	root *branch[V]
	size int
}

// edit marks the branches that a writer made since it last gave its trie away. It has a size so that every
// edit has an address of its own.
type edit struct{ _ byte }

// branch has a slot for each value that the id's half byte takes at its depth.
type branch[V any] struct {
	by    *edit
	taken uint16
	slots []slot[V]
}

// slot holds one id, or where there are several a branch.
type slot[V any] struct {
	below *branch[V]
	id    graph.ID
	value V
}

func halfByte(id graph.ID, depth int) uint {
	b := uint(id[depth/2])
	if depth%2 == 0 {
		return b >> 4
	}
	return b & 15
}

// find gives the place of a half byte's slot.
func (b *branch[V]) find(half uint) (i int, ok bool) {
	return bits.OnesCount16(b.taken & (1<<half - 1)), b.taken&(1<<half) != 0
}

func (t trie[V]) get(id graph.ID) (v V, ok bool) {
	b := t.root
	for depth := 0; b != nil; depth++ {
		i, taken := b.find(halfByte(id, depth))
		if !taken {
			return v, false
		}
		s := &b.slots[i]
		if s.below == nil {
			if s.id != id {
				return v, false
			}
			return s.value, true
		}
		b = s.below
	}
	return v, false
}

func (t *trie[V]) set(by *edit, id graph.ID, v V) {
	root, added := t.root.set(by, 0, id, v)
	t.root = root
	if added {
		t.size++
	}
}

// owned is the branch itself where the edit made it, else a copy.
func (b *branch[V]) owned(by *edit) *branch[V] {
	switch {
	case b == nil:
		return &branch[V]{by: by}
	case b.by == by:
		return b
	}
	return &branch[V]{by, b.taken, slices.Clone(b.slots)}
}

func (b *branch[V]) set(by *edit, depth int, id graph.ID, v V) (_ *branch[V], added bool) {
	b = b.owned(by)
	half := halfByte(id, depth)
	i, taken := b.find(half)
	if !taken {
		b.taken |= 1 << half
		b.slots = slices.Insert(b.slots, i, slot[V]{id: id, value: v})
		return b, true
	}
	s := &b.slots[i]
	switch {
	case s.below == nil && s.id == id:
		s.value = v
		return b, false
	case s.below == nil:
		below, _ := (*branch[V])(nil).set(by, depth+1, s.id, s.value)
		*s = slot[V]{below: below}
	}
	s.below, added = s.below.set(by, depth+1, id, v)
	return b, added
}

func (t *trie[V]) remove(by *edit, id graph.ID) {
	if _, there := t.get(id); there {
		t.root = t.root.remove(by, 0, id)
		t.size--
	}
}

// remove takes out an id that is there; it returns nil where nothing is left.
func (b *branch[V]) remove(by *edit, depth int, id graph.ID) *branch[V] {
	b = b.owned(by)
	half := halfByte(id, depth)
	i, _ := b.find(half)
	if below := b.slots[i].below; below != nil {
		if b.slots[i].below = below.remove(by, depth+1, id); b.slots[i].below != nil {
			return b
		}
	}
	b.taken &^= 1 << half
	b.slots = slices.Delete(b.slots, i, i+1)
	if len(b.slots) == 0 {
		return nil
	}
	return b
}

// all yields in order of id.
func (t trie[V]) all() iter.Seq2[graph.ID, V] {
	return func(yield func(graph.ID, V) bool) { t.root.all(yield) }
}

func (b *branch[V]) all(yield func(graph.ID, V) bool) bool {
	if b == nil {
		return true
	}
	for _, s := range b.slots {
		if s.below != nil && !s.below.all(yield) || s.below == nil && !yield(s.id, s.value) {
			return false
		}
	}
	return true
}
