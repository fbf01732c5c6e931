package scenario

import (
	"fmt"
	"time"
)

// The types of this file are Clew's own NDJSON: entities and edges named by their natural keys.

type keys map[string]string

type clewEntity struct {
	Type       string         `json:"type"`
	Kind       string         `json:"kind"`
	Keys       keys           `json:"keys"`
	Properties map[string]any `json:"properties,omitempty"`
	ObservedAt when           `json:"observedAt"`
}

type clewEnd struct {
	Kind string `json:"kind"`
	Keys keys   `json:"keys"`
}

type clewEdge struct {
	Type      string  `json:"type"`
	Kind      string  `json:"kind"`
	From      clewEnd `json:"from"`
	To        clewEnd `json:"to"`
	FirstSeen when    `json:"firstSeen"`
	LastSeen  when    `json:"lastSeen"`
	Source    string  `json:"source"`
}

func (v *device) end() clewEnd { return clewEnd{"device", keys{"mdeDeviceId": v.mdeID}} }
func (u *identity) end() clewEnd {
	return clewEnd{"identity", keys{"azureAdUserId": u.entraID}}
}
func (u *identity) boxEnd() clewEnd { return clewEnd{"mailbox", keys{"primaryAddress": u.upn()}} }
func (g *group) end() clewEnd {
	return clewEnd{"securityGroup", keys{"securityGroupId": g.id}}
}

// inventory writes the company down, as an export of directory and device management on the first day.
type inventory struct {
	w    *world
	d    dice
	rows []any
}

func (w *world) inventory() ([]byte, error) {
	v := &inventory{w: w, d: newDice(w.Seed, "inventory")}
	v.entities()
	v.directory()
	v.logons()
	v.software()
	return lines(v.rows)
}

func (v *inventory) entity(end clewEnd, p map[string]any) {
	v.rows = append(v.rows, clewEntity{"entity", end.Kind, end.Keys, p, when(v.w.Start)})
}

// state is an edge that holds for the whole window.
func (v *inventory) state(kind string, from, to clewEnd) {
	v.rows = append(v.rows, clewEdge{"edge", kind, from, to, when(v.w.Start.AddDate(0, 0, -60)), when(v.w.Start), "inventory"})
}

// signIn was seen again and again in the month before, for the last time at last.
func (v *inventory) signIn(u *identity, on *device, last time.Time) {
	v.rows = append(v.rows, clewEdge{"edge", "loggedOn", u.end(), on.end(), when(v.w.Start.AddDate(0, 0, -30)), when(last), "inventory"})
}

func (v *inventory) entities() {
	for _, d := range v.w.co.devices {
		e := d.end()
		e.Keys["azureAdDeviceId"], e.Keys["dnsName"], e.Keys["hostName"] = d.aadID, d.fqdn(), d.name
		v.entity(e, map[string]any{"displayName": d.name, "osPlatform": d.platform, "role": d.role, "criticality": d.criticality, "lastIpAddress": d.ip})
	}
	for _, u := range v.w.co.identities {
		e := u.end()
		e.Keys["sid"], e.Keys["userPrincipalName"], e.Keys["accountName"] = u.sid, u.upn(), netbiosName+`\`+u.account
		v.entity(e, map[string]any{"displayName": u.display, "role": u.role, "criticality": u.criticality, "department": u.department})
		if u.mailbox() {
			v.entity(u.boxEnd(), map[string]any{"displayName": u.display, "criticality": u.criticality})
		}
	}
	for _, g := range v.w.co.groups {
		e := g.end()
		e.Keys["sid"], e.Keys["displayName"] = g.sid, g.name
		v.entity(e, map[string]any{"displayName": g.name})
	}
}

func (v *inventory) directory() {
	for _, u := range v.w.co.identities {
		if u.mailbox() {
			v.state("owns", u.end(), u.boxEnd())
		}
		if u.device != nil {
			v.state("owns", u.end(), u.device.end())
		}
		if u.device != nil && v.d.IntN(6) == 0 { // some are administrators of their own device
			v.state("adminOf", u.end(), u.device.end())
		}
	}
	for _, g := range v.w.co.groups {
		for _, u := range g.members {
			v.state("memberOf", u.end(), g.end())
		}
		for _, d := range g.adminOf {
			v.state("adminOf", g.end(), d.end())
		}
	}
}

// logons: people on their own devices, the deployment account on the build server (elsewhere it works over the
// network, which leaves no credentials), the backup account on servers, administrators on some servers and on
// the jump server, and where an attacker will find their traces.
func (v *inventory) logons() {
	co, end := v.w.co, v.w.End()
	for _, d := range co.devices {
		if d.owner != nil {
			v.signIn(d.owner, d, end.Add(-v.d.between(time.Hour, 24*time.Hour)))
		}
		if d.server() {
			v.signIn(co.services[1], d, end.Add(-v.d.between(time.Hour, 24*time.Hour)))
		}
	}
	v.signIn(co.services[0], co.byName["BLD-01"], end.Add(-v.d.between(time.Hour, 72*time.Hour)))
	for _, u := range co.admins {
		v.signIn(u, co.byName["JMP-01"], end.Add(-v.d.between(time.Hour, 48*time.Hour)))
		v.signIn(u, pick(v.d, co.targets), v.w.Start.Add(v.d.between(time.Hour, 100*time.Hour)))
	}
	for _, l := range v.w.logons {
		v.signIn(l.who, l.on, l.last)
	}
}

// software is on every device; some of it is old, and the flaws known for it are invented (CVE numbers of
// year 2099 cannot be assigned).
func (v *inventory) software() {
	products := []string{"contoso_office", "contoso_browser", "fabrikam_pdf_reader", "fabrikam_archiver", "tailspin_vpn_client"}
	for i, p := range products {
		for _, version := range []string{"1.0", "2.0"} {
			v.entity(software(p, version), map[string]any{"displayName": p + " " + version})
		}
		cve := clewEnd{"vulnerability", keys{"cveId": fmt.Sprintf("CVE-2099-%04d", 1001+i)}}
		v.entity(cve, map[string]any{"severity": pick(v.d, []string{"medium", "high", "critical"}), "cvssScore": 6 + v.d.IntN(4)})
		v.state("affects", cve, software(p, "1.0"))
	}
	for _, d := range v.w.co.devices {
		version := "2.0"
		if v.d.IntN(5) == 0 {
			version = "1.0"
		}
		v.state("hasSoftware", d.end(), software(products[0], version))
		v.state("hasSoftware", d.end(), software(pick(v.d, products[1:]), pick(v.d, []string{"1.0", "2.0", "2.0"})))
	}
}

func software(product, version string) clewEnd {
	return clewEnd{"software", keys{"softwareId": product + "-" + version, "name": product}}
}
