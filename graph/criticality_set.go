package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// reservedPrefix begins the names of properties that are written here and by no source.
const reservedPrefix = "clew."

// setCriticalityProperty holds the last CriticalitySetting.
const setCriticalityProperty = reservedPrefix + "criticality"

// ReservedProperty reports whether a property is written by people here. What reads sources must not let it pass:
// whoever can send alerts could otherwise speak for an analyst.
func ReservedProperty(name string) bool { return strings.HasPrefix(name, reservedPrefix) }

// Bounds of a setting, in bytes.
const (
	MaxCriticalityComment = 2000
	MaxCriticalityBy      = 500
)

// CriticalitySetting is an analyst's word on an entity's criticality. It is kept as a property of its own, so no
// source can overwrite it. Of two settings the later one holds, also where entities turn out to be one thing.
type CriticalitySetting struct {
	// Criticality is CriticalityUnknown where the analyst took an earlier word back.
	Criticality Criticality
	By, Comment string
	At          time.Time
}

// storedSetting is a setting as the property has it. All of them are observed at no instant, so that setting one
// does not look as if a source had seen the entity; then the greater bytes win (see Facts.Merge), and these begin
// with the time in a fixed width.
type storedSetting struct {
	At          string `json:"at"`
	By          string `json:"by,omitempty"`
	Comment     string `json:"comment,omitempty"`
	Criticality string `json:"criticality,omitempty"`
}

// settingTime has one width for the years 1 to 9999, in microseconds.
const settingTime = "2006-01-02T15:04:05.000000Z"

// CriticalitySetting is the last word of an analyst, if there was any. One that cannot be read is none.
func (e Entity) CriticalitySetting() (CriticalitySetting, bool) {
	p, ok := e.Properties[setCriticalityProperty]
	var stored storedSetting
	if !ok || json.Unmarshal(p.Value, &stored) != nil {
		return CriticalitySetting{}, false
	}
	at, err := time.Parse(settingTime, stored.At)
	c, known := ParseCriticality(stored.Criticality)
	if err != nil || stored.Criticality != "" && !known {
		return CriticalitySetting{}, false
	}
	return CriticalitySetting{c, stored.By, stored.Comment, at}, true
}

// SetCriticality is the observation that says the word of the entity; committing it makes it hold, unless a later
// one is known. Where the entity's own is not earlier, by another replica's clock, the word is dated behind it.
// The error wraps ErrInvalid.
func (e Entity) SetCriticality(s CriticalitySetting) (EntityObservation, error) {
	if err := errors.Join(checkTexts(s.By, s.Comment), checkTimes(s.At)); err != nil {
		return EntityObservation{}, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	switch {
	case e.ID.IsZero() || len(e.Keys) == 0:
		return EntityObservation{}, fmt.Errorf("%w: an entity without keys cannot be set", ErrInvalid)
	case s.At.IsZero():
		return EntityObservation{}, fmt.Errorf("%w: criticality is set at no instant", ErrInvalid)
	case len(s.Comment) > MaxCriticalityComment:
		return EntityObservation{}, fmt.Errorf("%w: the comment has %d bytes, at most %d are possible", ErrInvalid, len(s.Comment), MaxCriticalityComment)
	case len(s.By) > MaxCriticalityBy:
		return EntityObservation{}, fmt.Errorf("%w: the name of who sets it has %d bytes, at most %d are possible", ErrInvalid, len(s.By), MaxCriticalityBy)
	}
	at := Micro(s.At)
	if last, ok := e.CriticalitySetting(); ok && !at.After(last.At) {
		at = last.At.Add(time.Microsecond)
	}
	stored := storedSetting{At: at.Format(settingTime), By: s.By, Comment: s.Comment}
	if s.Criticality != CriticalityUnknown {
		stored.Criticality = s.Criticality.String()
	}
	v, err := EncodeJSON(stored)
	// The strongest key alone names the entity: with others the observation would claim them for it.
	return EntityObservation{Keys: e.Keys[:1], Properties: map[string]json.RawMessage{setCriticalityProperty: v}}, err
}
