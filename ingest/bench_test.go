package ingest

import (
	"testing"
)

func BenchmarkDecodeAndProjectARealAlert(b *testing.B) {
	raws, _ := secrl(b)
	decode := Formats()[Auto]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		records, err := decode(raws[i%len(raws)])
		if err != nil {
			b.Fatal(err)
		}
		Project(*records[0].Alert)
	}
}
