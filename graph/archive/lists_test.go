package archive

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

// lineOf is an archive whose only record is that line.
func lineOf(line string) io.Reader {
	return strings.NewReader(fmt.Sprintf("{\"format\":%q,\"version\":1,\"tenant\":\"t\"}\n%s\n", name, line))
}

// Empty items of three bytes made links, keys and pieces of evidence of a hundred, so an archive of 130 KB, compressed,
// took 17 GB of memory.
func TestALineOfManyEmptyItemsIsRefusedBeforeItIsDecoded(t *testing.T) {
	many := func(item string) string { return strings.Repeat(item+",", maxItems) + item }
	members := func() string {
		var b strings.Builder
		for i := range maxItems + 1 {
			fmt.Fprintf(&b, `"%x":{},`, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	for name, line := range map[string]string{
		"links":            `{"incident":{"links":[` + many("{}") + `]}}`,
		"links as none":    `{"INCIDENT":{"Links":[` + many("null") + `]}}`,
		"links, twice":     `{"incident":{"links":[` + many("{}")[:2*maxItems] + `],"links":[` + many("{}")[:2*maxItems] + `]}}`,
		"entities":         `{"incident":{"links":[{},{"entities":[` + many(`""`) + `]}]}}`,
		"keys":             `{"home":{"facts":{"keys":[` + many("{}") + `]}}}`,
		"properties":       `{"home":{"facts":{"properties":{` + members() + `}}}}`,
		"evidence":         `{"alert":{"evidence":[` + many("{}") + `]}}`,
		"mentions":         `{"alert":{"evidence":[{"body":[1,2,",",3]},{"mentions":[` + many(`""`) + `]}]}}`,
		"techniques":       `{"alert":{"mitreTechniques":[` + many(`""`) + `]}}`,
		"behind a mistake": `{"incident":{"id":"x","links":[` + many("{}") + `]}}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a, err := NewReader(lineOf(line))
		if err != nil {
			t.Fatal(err)
		}
		for _, err = range a.Records() {
		}
		runtime.ReadMemStats(&after)
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), "record 1: its lists hold") {
			t.Errorf("%s: %v", name, err)
		}
		if took := (after.TotalAlloc - before.TotalAlloc) / uint64(len(line)); took > 30 {
			t.Errorf("%s: a line took %d times its length", name, took)
		}
	}
}

// What holds much in few items is a record, also where it holds lists of its own.
func TestALongLineOfOneRecordIsRead(t *testing.T) {
	body := `{"values":[` + strings.Repeat(`1,`, maxItems) + `1]}`
	a := graph.Alert{AlertContent: graph.AlertContent{
		Title: strings.Repeat(`"[,`, 1<<20), Evidence: []graph.Evidence{{Body: []byte(body)}, {Original: []byte(body)}}, Source: []byte(body)}}
	k, _ := graph.NewKey(graph.KindDevice, graph.KeyHostName, "pc1")
	home := graph.HomeRecord{ID: k.ID(), Facts: &graph.Facts{}}
	for range 100_000 {
		home.Facts.Keys = append(home.Facts.Keys, k)
	}
	document := graph.DocumentRecord{Value: make([]byte, MaxLine/2)}
	for _, r := range []graph.Record{{Alert: &graph.AlertRecord{Alert: a}}, {Home: &home}, {Document: &document}} {
		var b strings.Builder
		if _, err := Write(&b, "t", sequence([]graph.Record{r})); err != nil {
			t.Fatal(err)
		}
		if got, err := read([]byte(b.String())); err != nil || len(got) != 1 {
			t.Errorf("%d records, %v", len(got), err)
		}
	}
}

// endless gives letters for ever, and counts them.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	e.read += len(p)
	return len(p), nil
}

func TestALineIsNotReadForEver(t *testing.T) {
	var source endless
	a, err := NewReader(lineOf(""))
	if err != nil {
		t.Fatal(err)
	}
	a.lines.Reset(&source)
	for _, err = range a.Records() {
	}
	if !errors.Is(err, graph.ErrInvalid) || source.read > MaxLine+1<<20 {
		t.Errorf("read %d bytes: %v", source.read, err)
	}
	if _, err := NewReader(&endless{}); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("a first line without end: %v", err)
	}
}

// An archive that nobody could read must not be written.
func TestWhatIsTooLongToBeReadIsNotWritten(t *testing.T) {
	long := graph.DocumentRecord{Collection: "views", Key: "a", Value: make([]byte, MaxLine)}
	if _, err := Write(io.Discard, "t", sequence([]graph.Record{{Document: &long}})); err == nil || !strings.Contains(err.Error(), "record 1 cannot be carried") {
		t.Error(err)
	}
}
