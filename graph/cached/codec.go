package cached

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/clew-security/clew/graph"
)

// formatVersion is that of the bytes below, and part of the names in Redis: programs that write differently
// never read one another's values. Raise it with every change of coder's shapes or of the graph's types.
const formatVersion = 1

var errDamaged = errors.New("cached value is damaged")

// coder writes or reads alerts as bytes. One description of each shape serves both ways, so the two cannot
// part. A list, text or raw value is its length + 1, 0 for nil, then what is in it; numbers are varints;
// an instant is 0 where zero, else 1 and microseconds, the grain of everything stored.
type coder struct {
	reading bool
	out     []byte
	in      []byte // what is left to read
	text    string // the whole of in as text, which all texts share
	damaged bool
}

// appendAlerts writes alerts behind b.
func appendAlerts(b []byte, alerts []graph.Alert) []byte {
	c := coder{out: b}
	c.alerts(&alerts)
	return c.out
}

// readAlerts reads what appendAlerts wrote, to the end. The answer's raw values are parts of b.
func readAlerts(b []byte) (alerts []graph.Alert, err error) {
	c := coder{reading: true, in: b, text: string(b)}
	c.alerts(&alerts)
	if c.damaged || len(c.in) > 0 {
		return nil, errDamaged
	}
	return alerts, nil
}

func (c *coder) alerts(alerts *[]graph.Alert) { list(c, alerts, c.alert) }

func (c *coder) alert(a *graph.Alert) {
	c.id(&a.ID)
	c.content(&a.AlertContent)
	c.triage(&a.Analyst)
	number(c, &a.Incident)
	number(c, &a.Created)
	number(c, &a.Updated)
	number(c, &a.Revision)
}

func (c *coder) content(a *graph.AlertContent) {
	for _, s := range []*string{
		&a.ProviderAlertID, &a.Product, &a.ProductName, &a.DetectionSource, &a.DetectorID, &a.AlertPolicyID,
		&a.Title, &a.Description, &a.Recommended, &a.Category, &a.ThreatDisplayName, &a.ThreatFamilyName,
		&a.ActorDisplayName, &a.InvestigationState, &a.AlertWebURL, &a.Format,
	} {
		text(c, s)
	}
	text(c, &a.ServiceSource)
	text(c, &a.Severity)
	list(c, &a.MitreTechniques, func(s *string) { text(c, s) })
	for _, t := range []*time.Time{&a.FirstActivity, &a.LastActivity, &a.SourceCreated, &a.SourceUpdated} {
		c.instant(t)
	}
	c.triage(&a.Reported)
	list(c, &a.Evidence, c.evidence)
	raw(c, &a.Source)
}

func (c *coder) evidence(e *graph.Evidence) {
	text(c, &e.Type)
	c.id(&e.Entity)
	list(c, &e.Mentions, c.id)
	raw(c, &e.Body)
	raw(c, &e.Original)
}

func (c *coder) triage(t *graph.Triage) {
	text(c, &t.Status)
	text(c, &t.Classification)
	text(c, &t.Determination)
	text(c, &t.AssignedTo)
}

func (c *coder) instant(t *time.Time) {
	known, micros := uint64(1), uint64(t.UnixMicro())
	if t.IsZero() {
		known = 0
	}
	if number(c, &known); known != 1 {
		c.damaged = c.damaged || known != 0
		return
	}
	number(c, &micros)
	if c.reading {
		*t = time.UnixMicro(int64(micros)).UTC()
	}
}

func (c *coder) id(id *graph.ID) {
	if !c.reading {
		c.out = append(c.out, id[:]...)
		return
	}
	b, _ := c.take(len(id))
	copy(id[:], b)
}

// take gives the next n bytes, also as text; nothing where there are not so many.
func (c *coder) take(n int) ([]byte, string) {
	if c.damaged || n > len(c.in) {
		c.damaged, c.in = true, nil
		return nil, ""
	}
	at := len(c.text) - len(c.in)
	b := c.in[:n:n]
	c.in = c.in[n:]
	return b, c.text[at : at+n]
}

// length writes a length, or reads one that what is left can hold; -1 stands for nil.
func (c *coder) length(n int, isNil bool) int {
	coded := uint64(n) + 1
	if isNil {
		coded = 0
	}
	if number(c, &coded); coded > uint64(len(c.in))+1 && c.reading {
		c.damaged, c.in, coded = true, nil, 0
	}
	return int(coded) - 1
}

// number is for all integers: negative ones take ten bytes and do not occur.
func number[N ~int64 | ~uint64](c *coder, n *N) {
	if !c.reading {
		c.out = binary.AppendUvarint(c.out, uint64(*n))
		return
	}
	v, size := binary.Uvarint(c.in)
	if size <= 0 {
		c.damaged, c.in = true, nil
		return
	}
	*n, c.in = N(v), c.in[size:]
}

func text[S ~string](c *coder, s *S) {
	n := c.length(len(*s), false)
	if !c.reading {
		c.out = append(c.out, *s...)
		return
	}
	_, t := c.take(max(0, n))
	*s = S(t)
}

func raw[B ~[]byte](c *coder, b *B) {
	n := c.length(len(*b), *b == nil)
	if !c.reading {
		c.out = append(c.out, *b...)
	} else if n >= 0 {
		t, _ := c.take(n)
		*b = t
	}
}

// list grows as items are read, so that a false length costs no more than what is there.
func list[T any](c *coder, l *[]T, each func(*T)) {
	n := c.length(len(*l), *l == nil)
	if c.reading && n >= 0 {
		*l = make([]T, 0, min(n, len(c.in)/16+1))
	}
	for i := 0; i < n && !c.damaged; i++ {
		if c.reading {
			var item T
			*l = append(*l, item)
		}
		each(&(*l)[i])
	}
}
