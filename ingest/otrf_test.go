package ingest

import (
	"archive/zip"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/google/go-cmp/cmp"
)

// otrf opens the only file of an archive of recorded attacks.
func otrf(t *testing.T, name string) Input {
	t.Helper()
	archive, err := zip.OpenReader(testData(t, "otrf/"+name+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = archive.Close() })
	if len(archive.File) != 1 {
		t.Fatalf("%d files", len(archive.File))
	}
	r, err := archive.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return Input{Name: archive.File[0].Name, Reader: io.Reader(r)}
}

func importOTRF(t *testing.T, p Pipeline, names ...string) Summary {
	t.Helper()
	var in []Input
	for _, name := range names {
		in = append(in, otrf(t, name))
	}
	s, err := p.Run(t.Context(), in...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trees is what the batches say of processes: of each its image, and who spawned it.
type trees struct {
	images  map[graph.ID]string
	parents map[graph.ID]graph.ID
	edges   map[graph.EdgeKind]map[graph.EdgeKey]bool
}

func treesOf(s *recorder) trees {
	t := trees{map[graph.ID]string{}, map[graph.ID]graph.ID{}, map[graph.EdgeKind]map[graph.EdgeKey]bool{}}
	for _, b := range s.batches {
		for _, e := range b.Entities {
			if name := string(e.Properties["fileName"]); e.ID().Kind() == graph.KindProcess && (name != "" || t.images[e.ID()] == "") {
				t.images[e.ID()] = strings.Trim(name, `"`)
			}
		}
		for _, e := range b.Edges {
			if t.edges[e.Kind] == nil {
				t.edges[e.Kind] = map[graph.EdgeKey]bool{}
			}
			t.edges[e.Kind][graph.EdgeKey{From: e.From, Kind: e.Kind, To: e.To}] = true
			if e.Kind == graph.EdgeSpawned {
				t.parents[e.To] = e.From
			}
		}
	}
	return t
}

// chains are the images from each process up to its first known ancestor, first ancestor first.
func (t trees) chains() []string {
	var out []string
	for p := range t.images {
		var chain []string
		for at, ok := p, true; ok; at, ok = t.parents[at] {
			chain = append(chain, t.images[at])
		}
		slices.Reverse(chain)
		out = append(out, strings.Join(chain, " > "))
	}
	return out
}

func (t trees) count() map[string]int {
	out := map[string]int{"process": len(t.images)}
	for kind, edges := range t.edges {
		out[kind.String()] = len(edges)
	}
	return out
}

const lsass = "LSASS_campaign_01/metasploit_logonpasswords_lsass_memory_dump"

func TestTheRealEventsOfACampaignGiveItsProcessTrees(t *testing.T) {
	s := newRecorder()
	p := pipeline(s)
	p.Decode = Formats()["windows"]
	first := importOTRF(t, p, lsass)
	// Sysmon tells of 269 new processes, and of 16 that had started before: 10 parents, and 6 that spoke to an address. The
	// 53 that the Security log tells of too stay apart: what it was recorded with shifted its clock by 19 hours.
	if diff := cmp.Diff(Summary{Read: 53698}, Summary{Read: first.Read, Rejected: first.Rejected}); diff != "" {
		t.Error(diff)
	}
	got := treesOf(s)
	if diff := cmp.Diff(map[string]int{"process": 338, "spawned": 269, "ran": 609, "imageOf": 269, "presentOn": 142,
		"connectedTo": 13, "resolvesTo": 1, "loggedOn": 4, "ofSession": 2}, got.count()); diff != "" {
		t.Error(diff)
	}
	chains := got.chains()
	for _, want := range []string{
		"explorer.exe > winx64_payload.exe > cmd.exe",
		"services.exe > rundll32.exe",
		"cmd.exe > netsh.exe > cscript.exe > cmd.exe > wevtutil.exe",
	} {
		if !slices.ContainsFunc(chains, func(c string) bool { return strings.HasSuffix(c, want) }) {
			t.Errorf("no chain %s", want)
		}
	}
	before := s.digest(t)
	again := importOTRF(t, p, lsass)
	known := first.Edges + first.Updated + first.Duplicates
	if diff := cmp.Diff(Summary{Read: 53698, Duplicates: known}, again); diff != "" {
		t.Error(diff)
	}
	if s.digest(t) != before {
		t.Error("the second import changed the graph")
	}
}

// Both tables tell of powershell.exe and conhost.exe. Sysmon for Linux writes XML that is none, and syslog cut an event.
func TestRealRowsOfLogAnalyticsTellOfOneProcess(t *testing.T) {
	s := newRecorder()
	sum := importOTRF(t, pipeline(s), "Log4Shell/sysmon_log4shell_cve2021_44228_java_serialized_object",
		"Log4Shell/securityauditing_log4shell_cve2021_44228_java_serialized_object",
		"Log4Shell/syslog_sysmon_log4shell_cve2021_44228_jndi_reference")
	if sum.Read != 619 || sum.Rejected != 0 {
		t.Errorf("%+v", sum)
	}
	got := treesOf(s)
	if diff := cmp.Diff(map[string]int{"process": 34, "spawned": 21, "ran": 34, "imageOf": 2, "presentOn": 4, "connectedTo": 6},
		got.count()); diff != "" {
		t.Error(diff)
	}
	chains := got.chains()
	for _, want := range []string{"tomcat9.exe > powershell.exe > conhost.exe", "java > bash > bash"} {
		if !slices.ContainsFunc(chains, func(c string) bool { return strings.HasSuffix(c, want) }) {
			t.Errorf("no chain %s among %q", want, chains)
		}
	}
}
