package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/google/go-cmp/cmp"
)

// rejects imports a text and returns what was rejected of it.
func rejects(t *testing.T, s graph.Writer, text string) (Summary, []Reject, string) {
	t.Helper()
	var b bytes.Buffer
	p := pipeline(s)
	p.Rejects = &b
	sum := run1(t, p, text)
	var out []Reject
	for line := range strings.Lines(b.String()) {
		var r Reject
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return sum, out, b.String()
}

func TestALongRejectIsKeptWhole(t *testing.T) {
	record := `{"a":"` + strings.Repeat("ä", 1<<20) + `"}`
	_, got, _ := rejects(t, newRecorder(), record)
	if len(got) != 1 || string(got[0].Record) != record {
		t.Error(len(got))
	}
}

func TestABadAlertOfAnIncidentIsRejectedAlone(t *testing.T) {
	s := newRecorder()
	text := `{"priorityScore":1,"alerts":[` + strings.TrimSpace(line(1)) + `,{"id":"x","productName":"P"},` + strings.TrimSpace(line(2)) + `]}`
	sum, got, _ := rejects(t, s, text)
	if diff := cmp.Diff(Summary{Read: 1, Alerts: 2, Entities: 5, Edges: 4, Rejected: 1}, sum); diff != "" {
		t.Error(diff)
	}
	want := []Reject{{File: "in.jsonl", Line: 1, Reason: `alert 2 of the incident: alert "x": no date`, Record: json.RawMessage(`{"id":"x","productName":"P"}`)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheRejectsOfALineAreToldApart(t *testing.T) {
	_, got, _ := rejects(t, newRecorder(), `{"value":[{"a":1},{"b":1}]}`+"\n"+`{"c":1}`)
	var places []string
	for _, r := range got {
		places = append(places, r.Place())
	}
	if diff := cmp.Diff([]string{"in.jsonl:1 (byte 10)", "in.jsonl:1 (byte 18)", "in.jsonl:2"}, places); diff != "" {
		t.Error(diff)
	}
}

// nested is an object nested n deep.
func nested(n int, text string) string {
	return strings.Repeat(`{"}":`, n-1) + `{"a":"` + text + `"}` + strings.Repeat("}", n-1)
}

func TestARejectOfAnyDepthIsWrittenAndTheRestIsTaken(t *testing.T) {
	for _, n := range []int{999, 1000, 1001, 9_999, 10_000, 10_001} {
		sum, got, text := rejects(t, newRecorder(), nested(n, "x")+"\n"+line(1))
		if sum.Alerts != 1 || len(got) != 1 || !strings.Contains(string(got[0].Record), "x") {
			t.Errorf("%d deep: %+v, %d rejects", n, sum, len(got))
		}
		for _, err := range format.Records("rejects", strings.NewReader(text)) {
			if err != nil {
				t.Errorf("%d deep: the line cannot be read back: %v", n, err)
			}
		}
	}
}

func TestARejectFileCanBeReadAgain(t *testing.T) {
	text := "no json\n" + `{"a":1}` + "\n" + `{"priorityScore":1,"alerts":[{"id":"1","productName":"P","evidence":[]},7]}`
	_, first, file := rejects(t, newRecorder(), text)
	_, again, second := rejects(t, newRecorder(), file)
	if len(first) != 4 || len(again) != 4 {
		t.Fatalf("%s%s", file, second)
	}
	for i := range first {
		if diff := cmp.Diff(string(first[i].Record), string(again[i].Record)); diff != "" {
			t.Error(diff)
		}
	}
	if _, _, third := rejects(t, newRecorder(), second); strings.Count(third, "no object") != 2 {
		t.Error(third)
	}
	mended := strings.Replace(file, `{"id":"1",`, `{"id":"1","createdDateTime":"2026-01-02T03:04:05Z",`, 1)
	if sum, _, _ := rejects(t, newRecorder(), mended); sum.Alerts != 1 || sum.Rejected != 3 {
		t.Errorf("%+v", sum)
	}
	twice := `{"file":"f","line":1,"reason":"r","record":` + strings.Split(file, "\n")[1] + `}`
	if _, got, _ := rejects(t, newRecorder(), twice); len(got) != 1 || got[0].Reason != "a reject within a reject" {
		t.Error(got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWhatPrecedesARejectThatCannotBeWrittenIsCommitted(t *testing.T) {
	s := newRecorder()
	p := pipeline(s)
	p.Rejects = full{}
	sum, err := p.Run(context.Background(), input(line(1)+line(2)+"bad\n"+line(3)))
	if !errors.Is(err, ErrRejects) || !strings.Contains(err.Error(), "no space left") || sum.Alerts != 2 {
		t.Errorf("%+v %v", sum, err)
	}
	if diff := cmp.Diff([]string{"1", "2"}, s.alerts()); diff != "" {
		t.Error(diff)
	}
}
