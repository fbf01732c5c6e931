package correlate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// tactics of ATT&CK for Enterprise in the order of its matrix, as alert categories write them without spaces.
var tactics = []string{"Reconnaissance", "Resource development", "Initial access", "Execution", "Persistence",
	"Privilege escalation", "Defense evasion", "Credential access", "Discovery", "Lateral movement", "Collection",
	"Command and control", "Exfiltration", "Impact"}

// factsOf says what follows from an incident's alerts, which are in order of time, and its links.
func factsOf(alerts []*features, links []graph.Link) graph.IncidentFacts {
	f := graph.IncidentFacts{DisplayName: displayName(alerts), Severity: graph.SeverityUnknown, Links: links}
	for _, a := range alerts {
		if a.alert.Severity.Level() > f.Severity.Level() {
			f.Severity = a.alert.Severity
		}
		f.FirstActivity = graph.EarlierKnown(f.FirstActivity, a.alert.FirstActivity)
		f.LastActivity = graph.Later(f.LastActivity, a.alert.LastActivity)
		if a.alert.ServiceSource != "" {
			f.ServiceSources = append(f.ServiceSources, a.alert.ServiceSource)
		}
		f.MitreTechniques = append(f.MitreTechniques, a.alert.MitreTechniques...)
	}
	slices.Sort(f.ServiceSources)
	f.ServiceSources = slices.Compact(f.ServiceSources)
	slices.Sort(f.MitreTechniques)
	f.MitreTechniques = slices.Compact(f.MitreTechniques)
	return f
}

// displayName is the title of a single alert, else a sentence in the style of Microsoft 365 Defender: the first and
// the furthest tactic, how many devices (or, where there is none, users) unless an alert is about a crowd, and whether several products saw it.
func displayName(alerts []*features) string {
	first := alerts[0].alert
	if len(alerts) == 1 {
		return cmp.Or(first.Title, first.Category, "Alert")
	}
	name := stages(alerts)
	devices, people, crowd := map[graph.ID]bool{}, map[graph.ID]bool{}, false
	products := map[string]bool{}
	for _, a := range alerts {
		for _, id := range a.devices {
			devices[id] = true
		}
		for _, id := range a.people {
			people[id] = true
		}
		products[a.alert.Product] = true
		crowd = crowd || a.crowd
	}
	switch {
	case crowd:
		name += " affecting many users or devices"
	case len(devices) > 0:
		name += " on " + counted(len(devices), "device")
	case len(people) > 0:
		name += " affecting " + counted(len(people), "user")
	}
	if len(products) > 1 {
		name += " reported by multiple sources"
	}
	return name
}

func counted(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func stages(alerts []*features) string {
	seen := map[int]bool{}
	for _, a := range alerts {
		for part := range strings.SplitSeq(a.alert.Category, ",") {
			if i := tacticIndex(part); i >= 0 {
				seen[i] = true
			}
		}
	}
	var found []string
	for i, t := range tactics {
		if seen[i] {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return "Suspicious activity incident"
	case 1:
		return found[0] + " incident"
	}
	return "Multi-stage incident involving " + found[0] + " & " + found[len(found)-1]
}

// tacticIndex finds a tactic in any case, with or without spaces; -1 for a category that is none, such as Malware.
func tacticIndex(category string) int {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
	return slices.IndexFunc(tactics, func(t string) bool { return plain(t) == plain(category) })
}
