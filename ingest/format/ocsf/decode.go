// Package ocsf reads findings in the Open Cybersecurity Schema Framework (schema.ocsf.io, versions 1.x) and maps what
// they are about to evidence in the shape of Microsoft Graph Security.
package ocsf

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

const formatName = "ocsf"

// Format is OCSF's.
var Format = format.Format{Name: formatName, Is: is, Decode: Decode}

func is(f format.Fields) bool { return f.Has("class_uid", "metadata") }

// The classes of findings, by class_uid.
const (
	securityFinding      = 2001 // OCSF 1.0's, which 2004 replaced
	vulnerabilityFinding = 2002
	complianceFinding    = 2003
	detectionFinding     = 2004
	incidentFinding      = 2005
)

// Decode is the format.Decoder of OCSF findings. Detections (2004, and 2001 of older versions) are alerts. Vulnerability
// and compliance findings tell of no attack, and incidents only of findings that come by themselves: they give nothing.
// Any other class is an error.
func Decode(raw []byte) ([]format.Record, error) {
	event, err := format.ParseObject(raw)
	if err != nil {
		return nil, err
	}
	class, ok := event.Integer("class_uid")
	if !ok {
		return nil, format.Invalid("class_uid is no number")
	}
	switch class {
	case vulnerabilityFinding, complianceFinding, incidentFinding:
		return nil, nil
	case detectionFinding, securityFinding:
	default:
		return nil, format.Invalid("class_uid %d is no detection finding (2004)", class)
	}
	a, err := finding{event, info(event), class}.alert()
	if err != nil {
		return nil, err
	}
	a.Source = format.Compact(raw)
	return []format.Record{{Alert: a}}, nil
}

// info is what is said of the finding itself; OCSF 1.0 named it finding.
func info(event format.Object) format.Object {
	if o := event.Object("finding_info"); o != nil {
		return o
	}
	return event.Object("finding")
}

// finding is one detection.
type finding struct {
	event, info format.Object
	class       int64
}

func (f finding) alert() (*graph.AlertContent, error) {
	product := productName(f.event.Object("metadata").Object("product"))
	a := &graph.AlertContent{
		ProviderAlertID: f.info.Text("uid"), ProductName: product, ServiceSource: format.Service(product),
		DetectorID: f.analytic().First("uid", "name"), Title: f.info.Text("title"), Description: f.info.Text("desc"),
		Recommended: f.remediation(), Category: f.category(), Severity: severity(f.event), MitreTechniques: f.techniques(),
		AlertWebURL: f.info.Text("src_url"), Reported: f.triage(), Format: formatName,
	}
	if a.Title == "" {
		a.Title = f.event.Text("message")
	}
	if malware := f.event.Objects("malware"); len(malware) > 0 {
		a.ThreatDisplayName = malware[0].Text("name")
	}
	if err := f.times(a); err != nil {
		return nil, format.Invalid("alert %.80q: %s", a.ProviderAlertID, format.Reword(err))
	}
	if err := format.Finish(a); err != nil {
		return nil, err
	}
	var err error
	a.Evidence, err = f.evidence(a)
	return a, err
}

// productName is the product's with its maker's before it, as people call it: "Contoso Sensor".
func productName(o format.Object) string {
	name, vendor := o.Text("name"), o.Text("vendor_name")
	if name == "" || strings.HasPrefix(strings.ToLower(name), strings.ToLower(vendor)) {
		return o.First("name", "vendor_name")
	}
	return vendor + " " + name
}

func (f finding) analytic() format.Object {
	if o := f.info.Object("analytic"); o != nil {
		return o
	}
	return f.event.Object("analytic")
}

func (f finding) remediation() string {
	if s := f.event.Object("remediation").Text("desc"); s != "" {
		return s
	}
	return f.info.Object("remediation").Text("desc")
}

// severities by severity_id; critical (5) and fatal (6) are Graph's high.
var severities = map[int64]graph.Severity{1: graph.SeverityInformational, 2: graph.SeverityLow, 3: graph.SeverityMedium,
	4: graph.SeverityHigh, 5: graph.SeverityHigh, 6: graph.SeverityHigh}

func severity(event format.Object) graph.Severity {
	id, _ := event.Integer("severity_id")
	if s, ok := severities[id]; ok {
		return s
	}
	if s := format.Severity(event.Text("severity")); s.Level() > 0 {
		return s
	}
	return graph.SeverityUnknown
}

func (f finding) attacks() []format.Object {
	if list := f.info.Objects("attacks"); list != nil {
		return list
	}
	return f.event.Objects("attacks")
}

func (f finding) techniques() []string {
	var out []string
	for _, attack := range f.attacks() {
		for _, name := range []string{"technique", "sub_technique"} {
			if id := strings.ToUpper(attack.Object(name).Text("uid")); strings.HasPrefix(id, "T") {
				out = append(out, id)
			}
		}
	}
	return out
}

// category is the first tactic, as Microsoft's products write it, else the first type.
func (f finding) category() string {
	for _, attack := range f.attacks() {
		for _, tactic := range append([]format.Object{attack.Object("tactic")}, attack.Objects("tactics")...) {
			if name := tactic.Text("name"); name != "" {
				return pascal(name)
			}
		}
	}
	if types := f.info.Texts("types"); len(types) > 0 {
		return types[0]
	}
	return ""
}

// pascal writes "Command and Control" as CommandAndControl.
func pascal(name string) string {
	var b strings.Builder
	for _, word := range strings.Fields(name) {
		r, size := utf8.DecodeRuneInString(word)
		b.WriteRune(unicode.ToUpper(r))
		b.WriteString(word[size:])
	}
	return b.String()
}

// statuses by status_id, state_id in OCSF 1.0. Graph has no words for suppressed (3), archived (5) and deleted (6).
var statuses = map[int64]graph.Status{1: graph.StatusNew, 2: graph.StatusInProgress, 3: graph.StatusResolved,
	4: graph.StatusResolved, 5: graph.StatusResolved, 6: graph.StatusResolved}

// closed is the activity_id of an event that closes a finding.
const closed = 3

// classifications by verdict_id.
var classifications = map[int64][2]string{1: {"falsePositive"}, 2: {"truePositive"}, 5: {"informationalExpectedActivity"},
	6: {"informationalExpectedActivity", "securityTesting"}}

func (f finding) triage() graph.Triage {
	field := "status_id"
	if f.class == securityFinding { // whose status_id is that of the event
		field = "state_id"
	}
	id, _ := f.event.Integer(field)
	verdict, _ := f.event.Integer("verdict_id")
	activity, _ := f.event.Integer("activity_id")
	status := statuses[id]
	if status == "" && activity == closed {
		status = graph.StatusResolved
	}
	c := classifications[verdict]
	return format.Triage(string(status), c[0], c[1], f.event.Object("assignee").First("email_addr", "name"))
}

// times reads the finding's instants. Where it does not say when it was changed, that is when the event was written.
func (f finding) times(a *graph.AlertContent) (err error) {
	read := func(to *time.Time, o format.Object, name string) {
		t, e := instant(o, name)
		if e != nil && err == nil {
			err = format.Invalid("%s: %s", name, format.Reword(e))
		}
		if to.IsZero() {
			*to = t
		}
	}
	read(&a.FirstActivity, f.info, "first_seen_time")
	read(&a.FirstActivity, f.event, "start_time")
	read(&a.LastActivity, f.info, "last_seen_time")
	read(&a.LastActivity, f.event, "end_time")
	read(&a.SourceCreated, f.info, "created_time")
	read(&a.SourceCreated, f.event, "time")
	read(&a.SourceUpdated, f.info, "modified_time")
	read(&a.SourceUpdated, f.event, "time")
	return err
}

// instant reads a time, a number of milliseconds or, in the field that ends in _dt, a text. Products err with both.
func instant(o format.Object, name string) (time.Time, error) {
	t, err := format.Instant(o[name])
	if err == nil && t.IsZero() {
		return format.Instant(o[name+"_dt"])
	}
	return t, err
}

// told is the instant of a field, zero where none can be read.
func told(o format.Object, name string) time.Time {
	t, err := instant(o, name)
	if err != nil {
		return time.Time{}
	}
	return t
}
