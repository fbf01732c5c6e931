package archive

import (
	"encoding/json"
	"fmt"
)

const (
	// maxItems bounds what the lists of one record hold together. An item of a real one takes 64 bytes and more, so
	// MaxLine is reached before.
	maxItems = MaxLine / 64
	// shortLine is what holds too few items to matter.
	shortLine = 64 << 10
)

// checkLists refuses a line whose lists would take far more memory than the line: an empty object of three bytes may
// be a link of a hundred. It keeps nothing of the line; whether it is a record, its decoding says.
func checkLists(line []byte) error {
	if len(line) <= shortLine {
		return nil
	}
	var l lists
	_ = json.Unmarshal(line, &l)
	if n := l.items(); n > maxItems {
		return fmt.Errorf("its lists hold %d items, at most %d", n, maxItems)
	}
	return nil
}

// lists are those that records have, counted. Names of fields are found as in the decoding of a record.
type lists struct {
	Home struct {
		Facts struct {
			Keys, Properties items
			Sources          items
		}
	}
	Incident struct {
		ServiceSources, MitreTechniques items
		Links                           nested[struct{ Reasons, Entities items }]
	}
	Alert struct {
		MitreTechniques items
		Evidence        nested[struct{ Mentions items }]
	}
}

func (l *lists) items() (n int) {
	for _, i := range []items{
		l.Home.Facts.Keys, l.Home.Facts.Properties, l.Home.Facts.Sources,
		l.Incident.ServiceSources, l.Incident.MitreTechniques, l.Alert.MitreTechniques,
	} {
		n += int(i)
	}
	for _, x := range l.Incident.Links.each {
		n += int(x.Reasons + x.Entities)
	}
	for _, x := range l.Alert.Evidence.each {
		n += int(x.Mentions)
	}
	return n + int(l.Incident.Links.items+l.Alert.Evidence.items)
}

// items counts those of a list, or the members of an object. What stands there twice counts twice.
type items int

// UnmarshalJSON implements json.Unmarshaler.
func (n *items) UnmarshalJSON(b []byte) error {
	*n += items(countItems(b))
	return nil
}

// nested counts the items of a list and, where there are not too many, those of the lists in them.
type nested[T any] struct {
	items
	each []T
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *nested[T]) UnmarshalJSON(b []byte) error {
	if n.items += items(countItems(b)); n.items > maxItems {
		return nil
	}
	var each []T
	err := json.Unmarshal(b, &each)
	n.each = append(n.each, each...)
	return err
}

// countItems is one more than there are commas between the items of a valid JSON list or object.
func countItems(b []byte) int {
	n, deep, text := 1, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			deep++
		case c == '}' || c == ']':
			deep--
		case c == ',' && deep == 1:
			n++
		}
	}
	return n
}
