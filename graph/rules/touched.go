package rules

import (
	"encoding/binary"

	"github.com/clew-security/clew/graph"
)

// AppendTouched writes what a change touched: three counts, then entities, alerts and incidents.
func AppendTouched(b []byte, c graph.Change) []byte {
	for _, n := range []int{len(c.Entities), len(c.Alerts), len(c.Incidents)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, ids := range [][]graph.ID{c.Entities, c.Alerts} {
		for _, id := range ids {
			b = append(b, id[:]...)
		}
	}
	for _, i := range c.Incidents {
		b = binary.BigEndian.AppendUint64(b, uint64(i))
	}
	return b
}

// ReadTouched reads into c what AppendTouched wrote; ok is false where b is not just that.
func ReadTouched(c *graph.Change, b []byte) (ok bool) {
	var n [3]uint64
	for i := range n {
		size := 0
		if n[i], size = binary.Uvarint(b); size <= 0 || n[i] > 1<<40 {
			return false
		}
		b = b[size:]
	}
	if uint64(len(b)) != 16*(n[0]+n[1])+8*n[2] {
		return false
	}
	for range n[0] {
		c.Entities, b = append(c.Entities, graph.ID(b[:16])), b[16:]
	}
	for range n[1] {
		c.Alerts, b = append(c.Alerts, graph.ID(b[:16])), b[16:]
	}
	for range n[2] {
		c.Incidents, b = append(c.Incidents, graph.IncidentID(binary.BigEndian.Uint64(b))), b[8:]
	}
	return true
}
