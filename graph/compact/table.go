package compact

const (
	pageBits = 6
	pageSize = 1 << pageBits
)

type page[T any] [pageSize]T

// table is a list that a Graph reads and a Builder continues.
type table[T any] struct {
	pages []*page[T]
	n     int
}

func (t *table[T]) at(i uint32) *T { return &t.pages[i>>pageBits][i%pageSize] }

// draft is a table in the making.
type draft[T any] struct {
	table[T]
	// made says in which edition a page was made: one of the present edition no Graph reads yet.
	made   []uint32
	shared bool // some Graph reads the list of pages
}

// add puts an item behind the last, where no Graph reads.
func (d *draft[T]) add(edition uint32, v T) uint32 {
	i := uint32(d.n)
	if d.n%pageSize == 0 {
		d.pages, d.made = append(d.pages, new(page[T])), append(d.made, edition)
	}
	d.pages[i>>pageBits][i%pageSize] = v
	d.n++
	return i
}

// change gives the item to be changed, on a page that no Graph reads.
func (d *draft[T]) change(edition, i uint32) *T {
	p := i >> pageBits
	if d.made[p] != edition {
		if d.shared {
			d.pages, d.shared = append(make([]*page[T], 0, len(d.pages)+len(d.pages)/8+1), d.pages...), false
		}
		copied := *d.pages[p]
		d.pages[p], d.made[p] = &copied, edition
	}
	return &d.pages[p][i%pageSize]
}

// show gives the table as it is, for a Graph; the next edition must begin.
func (d *draft[T]) show() table[T] {
	d.shared = true
	return table[T]{d.pages[:len(d.pages):len(d.pages)], d.n}
}
