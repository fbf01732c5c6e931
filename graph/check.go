package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// MaxDepth bounds the nesting of JSON values in a batch, well below what encoders and decoders refuse.
const MaxDepth = 2000

// The instants that everything can store and write: RFC 3339 has four digits for a year.
var (
	firstInstant = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastInstant  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
)

func checkTimes(all ...time.Time) error {
	for _, t := range all {
		if t.Before(firstInstant) || t.After(lastInstant) {
			return errors.New("a time is outside the years 1 to 9999")
		}
	}
	return nil
}

func checkTexts(all ...string) error {
	for _, s := range all {
		if !utf8.ValidString(s) {
			return errors.New("a text is not UTF-8")
		}
	}
	return nil
}

// checkJSON accepts absent values. Invalid UTF-8 is refused: a decoder would replace it, and what comes back
// would not be what was compared.
func checkJSON(all ...json.RawMessage) error {
	for _, v := range all {
		if len(v) == 0 {
			continue
		}
		switch depth, ok := validJSON(v, MaxDepth); {
		case depth > MaxDepth:
			return fmt.Errorf("a value is nested more than %d deep", MaxDepth)
		case !ok:
			return errors.New("a value is not JSON in UTF-8")
		}
	}
	return nil
}

// plainText reports whether v is a JSON string without escapes, as most values are.
func plainText(v []byte) bool {
	if len(v) < len(`""`) || v[0] != '"' || v[len(v)-1] != '"' {
		return false
	}
	for _, c := range v[1 : len(v)-1] {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.Valid(v)
}

func (o EntityObservation) check(id ID) error {
	if id.IsZero() {
		return errors.New("no key")
	}
	for _, k := range o.Keys {
		if k.Kind != id.Kind() || k.Rank() < 0 || checkTexts(k.Value) != nil {
			return fmt.Errorf("%s does not belong to a %s", k, id.Kind())
		}
	}
	for name, v := range o.Properties {
		if err := errors.Join(checkTexts(name), checkJSON(v)); err != nil {
			return err
		}
	}
	return errors.Join(checkTexts(o.Source), checkTimes(o.ObservedAt))
}

func (o EdgeObservation) check(ends map[ID]bool) error {
	switch {
	case o.Kind.Tense() == 0 || o.Kind.Tense() == Derived:
		return errors.New("the kind cannot be observed")
	case !ends[o.From] || !ends[o.To]:
		return errors.New("an end is not observed in the batch")
	case o.Observation.Kind() != KindAlert && o.Observation.Kind() != KindObservation:
		return errors.New("no observation key")
	}
	return errors.Join(checkTexts(o.Source), checkTimes(o.FirstSeen, o.LastSeen, o.EndedAt))
}

// texts of the content, all of them.
func (c AlertContent) texts() []string {
	return append([]string{
		c.ProviderAlertID, c.Product, string(c.ServiceSource), c.ProductName, c.DetectionSource, c.DetectorID, c.AlertPolicyID,
		c.Title, c.Description, c.Recommended, c.Category, string(c.Severity), c.ThreatDisplayName, c.ThreatFamilyName,
		c.ActorDisplayName, c.InvestigationState, c.AlertWebURL, c.Format, string(c.Reported.Status), c.Reported.Classification,
		c.Reported.Determination, c.Reported.AssignedTo,
	}, c.MitreTechniques...)
}

func (c AlertContent) size() int {
	n := len(c.Source)
	for _, s := range c.texts() {
		n += len(s)
	}
	for _, e := range c.Evidence {
		n += len(e.Type) + len(e.Body) + len(e.Original) + 16*(1+len(e.Mentions))
	}
	return n
}

func (c AlertContent) check(observed map[ID]bool) error {
	if c.Product == "" || c.ProviderAlertID == "" {
		return errors.New("no product or provider id")
	}
	for _, id := range c.Entities() {
		if !observed[id] {
			return fmt.Errorf("evidence entity %s is not observed in the batch", id)
		}
	}
	for _, e := range c.Evidence {
		if err := errors.Join(checkTexts(e.Type), checkJSON(e.Body, e.Original)); err != nil {
			return err
		}
	}
	return errors.Join(checkTexts(c.texts()...), checkJSON(c.Source),
		checkTimes(c.FirstActivity, c.LastActivity, c.SourceCreated, c.SourceUpdated))
}

// Check refuses facts that could not be read back.
func (c IncidentChange) Check() error {
	if c.Facts == nil {
		return nil
	}
	for _, l := range c.Facts.Links {
		for _, id := range slices.Concat([]ID{l.A, l.B}, l.Entities) {
			if !Kind(id[0]).Known() {
				return errors.New("a link names an unknown kind")
			}
		}
		if err := checkTexts(append([]string{l.Rule}, l.Reasons...)...); err != nil {
			return err
		}
	}
	return errors.Join(checkTexts(c.Facts.DisplayName), checkTexts(c.Facts.MitreTechniques...),
		checkTimes(c.Facts.FirstActivity, c.Facts.LastActivity))
}
