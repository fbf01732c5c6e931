package format

import (
	"io"
	"strings"
	"testing"
)

func BenchmarkFraming(b *testing.B) {
	line := `{"id":"1","title":"A suspicious process was started","evidence":[{"a":1,"b":[true,null]},{"a":2,"b":"text of some length"}]}` + "\n"
	text := strings.Repeat(line, 10_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for _, err := range Records("f", io.LimitReader(strings.NewReader(text), int64(len(text)))) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
