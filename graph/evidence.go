package graph

import (
	"encoding/json"
	"strings"
	"time"
)

// Evidence is one piece of evidence of an alert. Body holds the whole in the shape of Microsoft Graph
// Security v1.0, unknown types and fields included, and is given back unchanged.
type Evidence struct {
	// Type is the OData type without '#' and namespace: "deviceEvidence".
	Type string `json:"type"`
	// Entity is the id the evidence's thing is kept under; zero where it has no key or no kind here.
	Entity ID `json:"entity,omitzero"`
	// Mentions are the other entities that the evidence names (a process's image file and account, a
	// message's sender and urls), in order, each once. The alert is found by them too.
	Mentions []ID `json:"mentions,omitempty"`
	// Body is the Graph-shaped JSON object.
	Body json.RawMessage `json:"body"`
	// Original is the source's own object where Body was mapped from another shape.
	Original json.RawMessage `json:"original,omitempty"`
}

// EvidenceBase are the fields all evidence types share (microsoft.graph.security.alertEvidence).
type EvidenceBase struct {
	ODataType                string    `json:"@odata.type"`
	CreatedDateTime          time.Time `json:"createdDateTime,omitzero"`
	Roles                    []string  `json:"roles,omitempty"`
	DetailedRoles            []string  `json:"detailedRoles,omitempty"`
	Tags                     []string  `json:"tags,omitempty"`
	Verdict                  string    `json:"verdict,omitempty"`
	RemediationStatus        string    `json:"remediationStatus,omitempty"`
	RemediationStatusDetails string    `json:"remediationStatusDetails,omitempty"`
}

// ODataPrefix is how the evidence types are named on the wire.
const ODataPrefix = "#microsoft.graph.security."

// EvidenceType cuts an @odata.type to the name of the type.
func EvidenceType(odata string) string {
	return odata[strings.LastIndexByte(odata, '.')+1:]
}
