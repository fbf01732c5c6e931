package ocsf

import (
	"net/netip"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// gatherer gathers the evidence of one alert, each piece once.
type gatherer struct {
	service graph.ServiceSource
	created time.Time
	verdict string
	out     []graph.Evidence
	err     error
	// seen are the bodies, known the names, addresses, URLs and hashes that observables need not repeat.
	seen, known map[string]bool
}

// evidence is what the finding is about: its own objects, its evidences, malware, resources, and of its observables those
// that are nowhere else.
func (f finding) evidence(a *graph.AlertContent) ([]graph.Evidence, error) {
	g := &gatherer{service: a.ServiceSource, created: a.SourceCreated, seen: map[string]bool{}, known: map[string]bool{}}
	all := append([]format.Object{f.event}, f.event.Objects("evidences")...)
	for _, o := range all {
		g.device(o.Object("device")) // first, so that its own addresses are known
	}
	for _, o := range all {
		g.artifact(o)
	}
	g.verdict = ""
	for _, m := range f.event.Objects("malware") {
		g.add("malwareEvidence", format.Body{}.Set("name", m.Text("name")).Set("category", first(m.Texts("classifications"))))
	}
	for _, o := range f.event.Objects("observables") {
		g.observable(o)
	}
	return g.out, g.err
}

func first(list []string) string {
	if len(list) > 0 {
		return list[0]
	}
	return ""
}

// verdicts by verdict_id of an artifact. Where Graph has no word, nothing is known.
var verdicts = map[int64]string{1: "noThreatsFound", 2: "malicious", 4: "suspicious", 5: "noThreatsFound", 8: "malicious"}

// artifact is the finding itself or one of its evidences.
func (g *gatherer) artifact(o format.Object) {
	g.verdict = ""
	if id, ok := o.Integer("verdict_id"); ok {
		g.verdict = verdicts[id]
	}
	actor := o.Object("actor")
	g.user(actor.Object("user"))
	g.process(actor.Object("process"))
	g.user(o.Object("user"))
	g.process(o.Object("process"))
	g.file(o.Object("file"))
	g.endpoint(o.Object("src_endpoint"), "source")
	g.endpoint(o.Object("dst_endpoint"), "destination")
	g.url(o.Object("url").First("url_string", "text"))
	g.add("dnsEvidence", format.Body{}.Set("domainName", o.Object("query").Text("hostname")))
	for _, r := range o.Objects("resources") {
		g.resource(r)
	}
}

func (g *gatherer) url(text string) {
	g.known[strings.ToLower(text)] = true
	g.add("urlEvidence", format.Body{}.Set("url", text))
}

// add keeps evidence that says something and was not said before.
func (g *gatherer) add(evidenceType string, b format.Body) {
	if len(b) == 0 || g.err != nil {
		return
	}
	verdict := g.verdict
	if verdict == "" {
		verdict = "unknown"
	}
	if b["roles"] == nil {
		b["roles"] = []string{}
	}
	b["@odata.type"], b["verdict"], b["remediationStatus"] = graph.ODataPrefix+evidenceType, verdict, "none"
	b.Set("createdDateTime", g.created)
	raw, err := graph.EncodeJSON(b)
	if err != nil {
		g.err = err
		return
	}
	if !g.seen[string(raw)] {
		g.seen[string(raw)] = true
		g.out = append(g.out, graph.Evidence{Type: evidenceType, Body: raw})
	}
}

// device: the uid is a product's own, and known as a key only where that is Defender for Endpoint.
func (g *gatherer) device(o format.Object) {
	name, domain := o.First("hostname", "name"), o.Text("domain")
	b := format.Body{}.Set("osPlatform", o.Object("os").Text("name")).Set("version", o.Object("os").Text("version")).
		Set("lastIpAddress", o.Text("ip"))
	host, suffix, dotted := strings.Cut(name, ".")
	switch _, err := netip.ParseAddr(name); {
	case err == nil: // an address in the name's place
	case dotted && suffix != "":
		b.Set("deviceDnsName", name).Set("hostName", host)
	case strings.Contains(domain, ".") && name != "":
		b.Set("deviceDnsName", host+"."+domain).Set("hostName", host)
	default:
		b.Set("hostName", host)
	}
	if g.service == graph.ServiceDefenderEndpoint {
		b.Set("mdeDeviceId", o.Text("uid"))
	}
	for _, ip := range append(o.Texts("ip_addresses"), o.Text("ip")) {
		g.known[strings.ToLower(ip)] = true
	}
	g.add("deviceEvidence", b)
}

func (g *gatherer) user(o format.Object) {
	if b := g.account(o); len(b) > 0 {
		g.add("userEvidence", format.Body{"userAccount": b})
	}
}

// account: a user's uid is a key only where it is a SID. Names come with their domain before or behind them.
func (g *gatherer) account(o format.Object) format.Body {
	name, domain := o.Text("name"), o.Text("domain")
	principal := o.Text("email_addr")
	if before, behind, found := strings.Cut(name, `\`); found {
		domain, name = before, behind
	} else if strings.Contains(name, "@") {
		principal, name = name, ""
	}
	g.known[strings.ToLower(domain+`\`+name)], g.known[strings.ToLower(principal)] = true, true
	b := format.Body{}.Set("accountName", name).Set("domainName", domain).Set("userPrincipalName", principal).
		Set("displayName", o.Text("full_name"))
	if uid := o.Text("uid"); strings.HasPrefix(strings.ToUpper(uid), "S-1-") {
		b.Set("userSid", uid)
	}
	return b
}

// process is evidence with its parent. A parent whose own parent is told is evidence too, and so on.
func (g *gatherer) process(o format.Object) {
	for ; o != nil; o = o.Object("parent_process") {
		parent := o.Object("parent_process")
		b := format.Body{}.Set("processCommandLine", o.Text("cmd_line")).Numbers(o, "processId", "pid").Set("processCreationDateTime", told(o, "created_time")).
			Set("imageFile", image(o)).Set("userAccount", g.account(o.Object("user")))
		if parent != nil {
			b.Numbers(parent, "parentProcessId", "pid").Set("parentProcessCreationDateTime", told(parent, "created_time")).
				Set("parentProcessImageFile", image(parent))
		}
		g.know(o.Object("file"))
		g.know(parent.Object("file"))
		g.add("processEvidence", b)
		if parent.Object("parent_process") == nil {
			return
		}
	}
}

// image is the file a process runs; its name may stand beside.
func image(process format.Object) format.Body {
	b := fileDetails(process.Object("file"))
	if b["fileName"] == nil {
		b.Set("fileName", process.Text("name"))
	}
	return b
}

func (g *gatherer) file(o format.Object) {
	g.know(o)
	if b := fileDetails(o); len(b) > 0 {
		g.add("fileEvidence", format.Body{"fileDetails": b})
	}
}

// know notes the hashes of a file.
func (g *gatherer) know(o format.Object) {
	for _, h := range o.Objects("hashes") {
		g.known[strings.ToLower(h.Text("value"))] = true
	}
}

// fileDetails: path is the folder with the name. OCSF before 1.0 had one fingerprint in place of hashes.
func fileDetails(o format.Object) format.Body {
	path := o.Text("path")
	b := format.Body{}.Set("fileName", o.Text("name")).Set("filePath", path).Numbers(o, "fileSize", "size").
		Set("signer", o.Object("signature").Object("certificate").Text("subject"))
	if i := strings.LastIndexAny(path, `\/`); i >= 0 {
		b.Set("filePath", path[:i])
		if b["fileName"] == nil {
			b.Set("fileName", path[i+1:])
		}
	}
	for _, h := range o.Objects("hashes") {
		if name := hashName(h); name != "" {
			b.Set(name, strings.ToLower(h.Text("value")))
		}
	}
	return b
}

// hashNames are Graph's, by algorithm_id.
var hashNames = map[int64]string{1: "md5", 2: "sha1", 3: "sha256"}

func hashName(h format.Object) string {
	id, _ := h.Integer("algorithm_id")
	if name, ok := hashNames[id]; ok {
		return name
	}
	switch name := strings.ReplaceAll(strings.ToLower(h.Text("algorithm")), "-", ""); name {
	case "md5", "sha1", "sha256":
		return name
	}
	return ""
}

// endpoint is one end of the traffic; the device's own is told by the device.
func (g *gatherer) endpoint(o format.Object, role string) {
	ip := o.Text("ip")
	if ip == "" || g.known[strings.ToLower(ip)] {
		return
	}
	g.known[strings.ToLower(ip)] = true
	g.add("ipEvidence", format.Body{"roles": []string{role}}.Set("ipAddress", ip).
		Set("countryLetterCode", o.Object("location").Text("country")))
}

// resource is one of a cloud that its uid tells, else of a type of its own.
func (g *gatherer) resource(o format.Object) {
	uid := o.Text("uid")
	b := format.Body{}.Set("resourceName", o.Text("name")).Set("resourceType", o.Text("type"))
	switch lower := strings.ToLower(uid); {
	case strings.HasPrefix(lower, "arn:"):
		g.add("amazonResourceEvidence", b.Set("amazonResourceId", uid))
	case strings.HasPrefix(lower, "/subscriptions/"):
		g.add("azureResourceEvidence", b.Set("resourceId", uid))
	case strings.HasPrefix(lower, "//") && strings.Contains(lower, ".googleapis.com/"):
		g.add("googleCloudResourceEvidence", b.Set("fullResourceName", uid))
	default:
		g.add("ocsfResource", b.Set("uid", uid))
	}
}

// The types of observables that name something by themselves. A host's name may be anybody's.
const (
	observedAddress = 2
	observedUser    = 4
	observedURL     = 6
	observedHash    = 8
)

func (g *gatherer) observable(o format.Object) {
	value := o.Text("value")
	id, _ := o.Integer("type_id")
	if value == "" || g.known[strings.ToLower(value)] {
		return
	}
	switch id {
	case observedAddress:
		g.endpoint(format.Object{"ip": value}, "contextual")
	case observedUser:
		if strings.ContainsAny(value, `\@`) { // a bare name is one in every domain
			g.user(format.Object{"name": value})
		}
	case observedURL:
		g.url(value)
	case observedHash:
		if algorithm := map[int]string{32: "md5", 40: "sha1", 64: "sha256"}[len(value)]; algorithm != "" {
			g.add("fileHashEvidence", format.Body{"algorithm": algorithm}.Set("value", strings.ToLower(value)))
		}
	}
}
