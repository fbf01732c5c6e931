package correlate

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
)

// features are what the rules see of one alert: a pure function of its content and of the nodes it names.
type features struct {
	alert graph.Alert
	// start and end are zero where the alert has no valid times; then it is linked to nothing.
	start, end time.Time
	detector   string
	keys       map[key]bearing
	// people and devices are those among the keys, in order.
	people, devices []graph.ID
	// crowd is set where the alert names too many of them to bear any of these keys.
	crowd bool
}

// bearing is how an alert bears a key.
type bearing struct {
	// via are the nodes of the key that the alert names.
	via []graph.ID
	// inferred is set where only a weak key leads there.
	inferred bool
	// system is set for a file that the alert shows in a folder of the operating system or of programs.
	system bool
}

// evidenceBody are the fields of evidence bodies that the rules read.
type evidenceBody struct {
	Roles         []string     `json:"roles"`
	Verdict       string       `json:"verdict"`
	File          *fileDetails `json:"fileDetails"`
	Image         *fileDetails `json:"imageFile"`
	ParentImage   *fileDetails `json:"parentProcessImageFile"`
	Created       string       `json:"processCreationDateTime"`
	ParentCreated string       `json:"parentProcessCreationDateTime"`
}

type fileDetails struct {
	Path   string `json:"filePath"`
	SHA256 string `json:"sha256"`
	SHA1   string `json:"sha1"`
	MD5    string `json:"md5"`
}

// bodyOf reads what is needed; a body of another shape says nothing.
func bodyOf(e graph.Evidence) (b evidenceBody) {
	switch e.Type {
	case "ipEvidence", "fileEvidence", "processEvidence":
		_ = json.Unmarshal(e.Body, &b)
	}
	return b
}

// featuresOf needs the nodes to be loaded.
func (n *nodes) featuresOf(a graph.Alert, s Settings) *features {
	t := s.tiesOf(a.AlertContent)
	f := &features{alert: a, keys: map[key]bearing{}, detector: detectorOf(a), crowd: t.crowd}
	if !a.FirstActivity.IsZero() && !a.LastActivity.Before(a.FirstActivity) {
		f.start, f.end = a.FirstActivity, a.LastActivity
	}
	unscoped := !placed(a)
	for _, e := range a.Evidence {
		r := evidenceReader{n, f, t, e, bodyOf(e), s}
		r.entity(unscoped)
		r.mentions()
	}
	for k := range f.keys {
		switch k.kind {
		case device:
			f.devices = append(f.devices, k.node)
		case person:
			f.people = append(f.people, k.node)
		}
	}
	slices.SortFunc(f.devices, graph.ID.Compare)
	slices.SortFunc(f.people, graph.ID.Compare)
	return f
}

// detectorOf names what fired. Not every source gives an id; the title then says it.
func detectorOf(a graph.Alert) string { return graph.Scoped(a.Product, cmp.Or(a.DetectorID, a.Title)) }

// placed reports whether the alert is about a device, process or mail: an address with no role may then be the
// victim's own, while in a sign-in alert it is the other side's.
func placed(a graph.Alert) bool {
	return slices.ContainsFunc(a.Evidence, func(e graph.Evidence) bool {
		switch e.Type {
		case "deviceEvidence", "processEvidence", "analyzedMessageEvidence":
			return true
		}
		return e.Entity.Kind() == graph.KindDevice
	})
}

// evidenceReader takes the keys from one piece of evidence.
type evidenceReader struct {
	*nodes
	to   *features
	ties ties
	from graph.Evidence
	body evidenceBody
	s    Settings
}

func (r evidenceReader) entity(unscoped bool) {
	switch id := r.from.Entity; id.Kind() {
	case graph.KindIPAddress:
		if r.ties.has(id) && r.from.Type == "ipEvidence" && r.attacker(unscoped) {
			r.add(r.strongKey(id))
		}
	case graph.KindProcess:
		r.process(id, r.body.Image, r.body.Created)
	default:
		r.thing(id)
	}
}

// mentions are taken as what they are; an address, as candidates says, is none.
func (r evidenceReader) mentions() {
	for _, id := range mentioned(r.from) {
		switch id.Kind() {
		case graph.KindIPAddress:
		case graph.KindProcess:
			r.process(id, r.body.ParentImage, r.body.ParentCreated)
		default:
			r.thing(id)
		}
	}
}

func (r evidenceReader) thing(id graph.ID) {
	if !r.ties.has(id) {
		return
	}
	k, b := r.keyOf(id)
	switch k.kind {
	case person:
		if r.from.Type == "analyzedMessageEvidence" && id.Kind() == graph.KindIdentity && r.byID[k.node].WeakOnly() {
			k.kind = sender // nobody we know
		}
	case file:
		b.system = r.inSystem(id)
	case process, address:
		return // what they prove depends on the evidence
	}
	r.add(k, b)
}

// keyOf is the key that a node gives an alert that names it; its node is zero where it gives none. The nodes must be
// loaded.
func (n *nodes) keyOf(id graph.ID) (key, bearing) {
	e, inferred := n.follow(id)
	switch id.Kind() {
	case graph.KindDevice:
		return key{device, e.ID}, bearing{via: []graph.ID{e.ID}, inferred: inferred}
	case graph.KindIdentity:
		if builtIn(n.byID[id]) || builtIn(e) {
			return key{}, bearing{}
		}
		return key{person, e.ID}, bearing{via: []graph.ID{e.ID}, inferred: inferred}
	case graph.KindMailbox:
		owner := n.owners[e.ID]
		if builtIn(n.byID[owner]) {
			return key{}, bearing{}
		}
		to := cmp.Or(owner, e.ID)
		return key{person, to}, bearing{via: []graph.ID{to}, inferred: inferred || !owner.IsZero()}
	case graph.KindMailMessage:
		return key{message, messageNode(n.byID[id])}, bearing{via: []graph.ID{n.byID[id].ID}}
	case graph.KindURL:
		return key{link, linkNode(e)}, bearing{via: []graph.ID{e.ID}}
	}
	return n.strongKey(id)
}

// strongKinds are the things that only a strong key names: a file's name or a process's number alone is shared
// by accident, and such a node is not followed.
var strongKinds = map[graph.Kind]kind{graph.KindFile: file, graph.KindCloudSession: session,
	graph.KindOAuthApplication: application, graph.KindProcess: process, graph.KindIPAddress: address}

func (n *nodes) strongKey(id graph.ID) (key, bearing) {
	e, k := n.byID[id], strongKinds[id.Kind()]
	if k == 0 || e.WeakOnly() {
		return key{}, bearing{}
	}
	return key{k, e.ID}, bearing{via: []graph.ID{e.ID}}
}

// add notes that the alert bears the key; what one piece of evidence proves, another need not.
func (r evidenceReader) add(k key, b bearing) {
	if k.node.IsZero() {
		return
	}
	if old, ok := r.to.keys[k]; ok {
		b.via = append(old.via, b.via...)
		slices.SortFunc(b.via, graph.ID.Compare)
		b.via = slices.Compact(b.via)
		b.inferred = b.inferred && old.inferred
		b.system = b.system || old.system
	}
	r.to.keys[k] = b
}

// inSystem reports whether the evidence shows the file in a system folder.
func (r evidenceReader) inSystem(id graph.ID) bool {
	return slices.ContainsFunc([]*fileDetails{r.body.File, r.body.Image, r.body.ParentImage}, func(d *fileDetails) bool {
		return d != nil && inSystemFolder(d.Path) && (r.from.Entity == id || d.id() == id)
	})
}

// id is the one that the file is kept under by its strongest hash.
func (d fileDetails) id() graph.ID {
	var o graph.EntityObservation
	for _, h := range []struct {
		typ   graph.KeyType
		value string
	}{{graph.KeySHA256, d.SHA256}, {graph.KeySHA1, d.SHA1}, {graph.KeyMD5, d.MD5}} {
		if k, ok := graph.NewKey(graph.KindFile, h.typ, h.value); ok {
			o.Keys = append(o.Keys, k)
		}
	}
	return o.ID()
}

// process leaves out system processes that had long been running.
func (r evidenceReader) process(id graph.ID, image *fileDetails, created string) {
	at, err := time.Parse(time.RFC3339Nano, created)
	known := image != nil && image.Path != "" && !inSystemFolder(image.Path)
	if err == nil && r.ties.has(id) && (known || r.to.start.Sub(at) <= r.s.AncestorAge) {
		r.add(r.strongKey(id))
	}
}

// systemFolders are the folders of operating systems and installed programs, in lower case without the drive:
// what lies there is on every machine.
var systemFolders = []string{
	`\windows`, `\program files`, `\program files (x86)`, `\programdata\microsoft\windows defender`,
	"/bin", "/sbin", "/lib", "/lib64", "/libexec", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/libexec",
	"/system", "/applications",
}

// drive is what may stand before a path's first folder.
var drive = regexp.MustCompile(`^([a-z]:|\\device\\harddiskvolume\d+|%systemdrive%)`)

// inSystemFolder excepts \Windows\Temp, where everybody may write.
func inSystemFolder(path string) bool {
	path = strings.ToLower(path)
	path = strings.NewReplacer("%systemroot%", `\windows`, "%windir%", `\windows`).Replace(path)
	path = drive.ReplaceAllString(path, "")
	in := func(folder string) bool { return within(path, folder) }
	return slices.ContainsFunc(systemFolders, in) && !in(`\windows\temp`)
}

func within(path, folder string) bool {
	rest, ok := strings.CutPrefix(path, folder)
	return ok && (rest == "" || rest[0] == folder[0])
}

// attacker reports whether an address is the attacker's: the source says so, or it stands alone in an alert
// about an account, where nothing else can have brought it in.
func (r evidenceReader) attacker(unscoped bool) bool {
	roles := slices.DeleteFunc(slices.Clone(r.body.Roles), func(s string) bool { return strings.EqualFold(s, "unknown") })
	for _, role := range roles {
		if strings.EqualFold(role, "attacker") || strings.EqualFold(role, "commandAndControl") {
			return true
		}
	}
	return strings.EqualFold(r.body.Verdict, "malicious") || (unscoped && len(roles) == 0)
}
