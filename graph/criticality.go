package graph

import (
	"encoding/json"
	"strings"
)

// Criticality is how much the loss of an asset would hurt, as Microsoft Security Exposure Management grades it.
type Criticality uint8

// The criticalities, least first.
const (
	CriticalityUnknown Criticality = iota
	CriticalityLow
	CriticalityMedium
	CriticalityHigh
	CriticalityVeryHigh
)

// CriticalityProperty names the entity property that holds the criticality.
const CriticalityProperty = "criticality"

var criticalityNames = [...]string{"unknown", "low", "medium", "high", "veryHigh"}

// String is the name on every wire.
func (c Criticality) String() string {
	if int(c) >= len(criticalityNames) {
		return criticalityNames[0]
	}
	return criticalityNames[c]
}

// MarshalText gives the name.
func (c Criticality) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// CriticalityOf reads the entity's criticality: "veryHigh", "high", "medium", "low" in any case, or Exposure
// Management's criticalityLevel, where 0 is very high and 3 low. Anything else is unknown.
func CriticalityOf(e Entity) Criticality {
	text := string(e.Properties[CriticalityProperty].Value)
	var s string
	if json.Unmarshal([]byte(text), &s) == nil {
		text = s
	}
	for c := CriticalityLow; c <= CriticalityVeryHigh; c++ {
		level := '3' - rune(c-CriticalityLow)
		if strings.EqualFold(text, c.String()) || text == string(level) {
			return c
		}
	}
	return CriticalityUnknown
}
