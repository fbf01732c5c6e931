package rules

// filter is a set of hashes that may hold more than was added and never less: a row of blocked Bloom filters
// (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007), each four times as large as
// the one before, so that it grows without being built anew. It takes about two bytes a hash and has about one
// false answer in 300.
type filter struct {
	layers []layer
}

// layer is one Bloom filter of blocks of 512 bits: a cache line each.
type layer struct {
	blocks [][8]uint64
	room   int
}

const (
	bitsPerHash    = 16
	probes         = 6
	firstLayerSize = 1 << 14 // hashes
)

func (f *filter) add(h uint64) {
	if f.has(h) {
		return
	}
	n := len(f.layers)
	if n == 0 || f.layers[n-1].room == 0 {
		room := firstLayerSize
		if n > 0 {
			room = 4 * len(f.layers[n-1].blocks) * 512 / bitsPerHash
		}
		f.layers = append(f.layers, layer{make([][8]uint64, room*bitsPerHash/512), room})
		n++
	}
	l := &f.layers[n-1]
	l.room--
	b := l.block(h)
	for range probes {
		h = mix(h)
		b[h>>6&7] |= 1 << (h & 63)
	}
}

func (f *filter) has(h uint64) bool {
	for i := len(f.layers) - 1; i >= 0; i-- {
		if f.layers[i].has(h) {
			return true
		}
	}
	return false
}

// block picks by the upper half of the hash.
func (l *layer) block(h uint64) *[8]uint64 {
	return &l.blocks[(h>>32)*uint64(len(l.blocks))>>32]
}

func (l *layer) has(h uint64) bool {
	b := l.block(h)
	for range probes {
		h = mix(h)
		if b[h>>6&7]&(1<<(h&63)) == 0 {
			return false
		}
	}
	return true
}
