package scenario

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/default.sha256 anew")

// digest is over uncompressed bytes: how gzip packs them may change with Go.
func digest(t *testing.T, c Corpus) string {
	var b strings.Builder
	for _, f := range append(slices.Clone(c.Files), File{Name: TruthFile, Data: c.TruthCSV()}) {
		data := plain(t, f)
		fmt.Fprintf(&b, "%x %8d %s\n", sha256.Sum256(data), len(data), f.Name)
	}
	return b.String()
}

func TestTheBundledScenarioIsTheGolden(t *testing.T) {
	got, path := digest(t, demo(t)), filepath.Join("testdata", "default.sha256")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the scenario has changed (-update takes the change over):\n%s\nwant\n%s", got, want)
	}
}

func TestTheSameOptionsGiveTheSameBytesAndAnotherSeedOthers(t *testing.T) {
	again := made(t)(Generate(Default()))
	for i, f := range demo(t).Files {
		if !bytes.Equal(f.Data, again.Files[i].Data) {
			t.Errorf("%s differs between two runs", f.Name)
		}
	}
	o := Default()
	o.Seed = 2
	for i, f := range made(t)(Generate(o)).Files {
		if bytes.Equal(f.Data, again.Files[i].Data) {
			t.Errorf("%s is the same for another seed", f.Name)
		}
	}
}

func TestMoreNoiseLeavesTheAttackAsItIs(t *testing.T) {
	o := Default()
	o.Noise = 7
	few, many := attackBytes(t, made(t)(Generate(o))), attackBytes(t, demo(t))
	if few != many {
		t.Error("the attack's alerts depend on the amount of noise")
	}
}

func attackBytes(t *testing.T, c Corpus) string {
	label, out := labels(c), ""
	for _, r := range records(t, c, "defender-alerts") {
		if strings.HasPrefix(label[str(r, "providerAlertId")], "attack") {
			out += fmt.Sprint(r)
		}
	}
	return out
}

func TestTheBundledScenarioIsAtMostThreeMegabytes(t *testing.T) {
	size := 0
	for _, f := range demo(t).Files {
		size += len(plain(t, f))
	}
	if size > 3e6 {
		t.Errorf("%d bytes", size)
	}
	t.Logf("%d bytes uncompressed", size)
}

func TestEveryGraphAlertIsWellFormed(t *testing.T) {
	known := strings.Fields(evidenceTypes)
	if len(known) != 48 {
		t.Fatalf("%d evidence types", len(known))
	}
	seen := map[string]bool{}
	for _, r := range mainPages(t, demo(t)) {
		id, own := str(r, "id"), str(r, "providerAlertId")
		if seen[id] || !strings.HasSuffix(id, own) || len(id)-len(own) > 2 {
			t.Errorf("id %q, provider's id %q, seen before: %v", id, own, seen[id])
		}
		seen[id] = true
		for _, name := range []string{"title", "description", "severity", "status", "category", "serviceSource", "detectionSource", "detectorId", "recommendedActions", "tenantId"} {
			if str(r, name) == "" {
				t.Errorf("%s has no %s", id, name)
			}
		}
		for _, e := range evidenceOf(r, "") {
			if typ := strings.TrimPrefix(str(e, "@odata.type"), "#microsoft.graph.security."); !slices.Contains(known, typ) {
				t.Errorf("%s: evidence type %q is none of Graph's", id, typ)
			}
			if str(e, "verdict") == "" || str(e, "remediationStatus") == "" || e["roles"] == nil {
				t.Errorf("%s: %v lacks verdict, remediation or roles", id, e)
			}
		}
		if len(evidenceOf(r, "")) == 0 {
			t.Errorf("%s has no evidence", id)
		}
	}
}

func TestEveryInstantLiesInTheWindowAndInOrder(t *testing.T) {
	inTheWindow(t, demo(t), Default().Start, Default().End())
	inTheWindow(t, made(t)(crowded()), Default().Start, Default().Start.AddDate(0, 0, MinDays))
}

func inTheWindow(t *testing.T, c Corpus, start, end time.Time) {
	t.Helper()
	for _, r := range records(t, c, "defender-alerts") {
		last := start
		for _, name := range []string{"firstActivityDateTime", "lastActivityDateTime", "createdDateTime", "lastUpdateDateTime"} {
			at := graphTime(t, r, name)
			if at.Before(last) || !at.Before(end) {
				t.Errorf("%s of %s: %v is before %v or after the end", name, str(r, "id"), at, last)
			}
			last = at
		}
	}
	for _, r := range sentinelRows(t, c) {
		last := start
		for _, name := range []string{"StartTime", "EndTime", "ProcessingEndTime", "TimeGenerated"} {
			at, err := time.Parse("2006-01-02 15:04:05.999999-07:00", str(r, name))
			if err != nil || at.Before(last) || at.After(end) {
				t.Errorf("%s of %s: %v (%v)", name, str(r, "VendorOriginalId"), at, err)
			}
			last = at
		}
	}
}

func TestADaysSessionHasBegunWheneverItIsAskedFor(t *testing.T) {
	w := world{Options: Default()}
	v := &device{mdeID: "x"}
	for at := w.Start; at.Before(w.Start.AddDate(0, 0, 2)); at = at.Add(time.Minute) {
		if p := session(v, at); p.born.After(at) || at.Sub(p.born) > 25*time.Hour {
			t.Errorf("at %v the session is of %v", at, p.born)
		}
	}
}

func TestAParentProcessIsNeverYoungerThanItsChild(t *testing.T) {
	for _, r := range records(t, made(t)(crowded()), "defender-alerts") {
		for _, p := range evidenceOf(r, "processEvidence") {
			if child := graphTime(t, p, "processCreationDateTime"); graphTime(t, p, "parentProcessCreationDateTime").After(child) {
				t.Errorf("%s: %s is older than its parent", str(r, "id"), str(p, "processCommandLine"))
			}
		}
	}
}

func TestEveryReferenceInASentinelRowIsDefinedInIt(t *testing.T) {
	var walk func(v any, ids map[string]bool)
	walk = func(v any, ids map[string]bool) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e, ids)
			}
		case record:
			if id := str(v, "$id"); id != "" && ids[id] {
				t.Errorf("$id %s twice", id)
			} else if id != "" {
				ids[id] = true
			}
			for _, e := range v {
				walk(e, ids)
			}
			if ref := str(v, "$ref"); ref != "" && !ids[ref] {
				t.Errorf("$ref %s before its $id", ref)
			}
		}
	}
	for _, r := range sentinelRows(t, demo(t)) {
		walk(r["Entities"], map[string]bool{})
		for _, name := range []string{"SystemAlertId", "VendorOriginalId", "ProviderName", "ProductName", "AlertType"} {
			if str(r, name) == "" {
				t.Errorf("a row has no %s", name)
			}
		}
	}
}

var (
	looksIPv4 = regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`)
	looksHost = regexp.MustCompile(`(?:@|://)([A-Za-z0-9.-]+)`)
)

func TestOnlyReservedNamesAndAddressesAreUsed(t *testing.T) {
	ranges := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("127.0.0.1/32")}
	reserved := regexp.MustCompile(`(^|\.)example\.(com|net|org)$|^(graph|security)\.microsoft\.com$`)
	for _, f := range demo(t).Files {
		text := string(plain(t, f))
		for _, s := range looksIPv4.FindAllString(text, -1) {
			a, err := netip.ParseAddr(s)
			if err != nil || strings.HasSuffix(s, ".0.0.0") { // a browser's version
				continue
			}
			if !slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a) }) {
				t.Errorf("%s has the address %s", f.Name, s)
			}
		}
		for _, m := range looksHost.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "odata") && !reserved.MatchString(m[1]) {
				t.Errorf("%s has the name %s", f.Name, m[1])
			}
		}
	}
}

func TestUnusableOptionsAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"no start": func(o *Options) { o.Start = time.Time{} }, "a start at noon": func(o *Options) { o.Start = o.Start.Add(12 * time.Hour) },
		"too few days": func(o *Options) { o.Days = MinDays - 1 }, "too few devices": func(o *Options) { o.Devices = MinDevices - 1 },
		"too few identities": func(o *Options) { o.Identities = MinIdentities - 1 }, "negative noise": func(o *Options) { o.Noise = -1 },
	} {
		o := Default()
		spoil(&o)
		if _, err := Generate(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheLeastOptionsWork(t *testing.T) {
	o := Options{Start: Default().Start, Days: MinDays, Devices: MinDevices, Identities: MinIdentities, Attacks: 40, Outbreaks: 40, Noise: 50}
	made(t)(Generate(o))
	o.Start = o.Start.AddDate(0, 0, 4) // a Friday: an attack could begin on a weekend only
	made(t)(Generate(o))
	o.Attacks, o.Outbreaks, o.Noise = 0, 0, 0
	if c := made(t)(Generate(o)); len(c.Truth()) != 0 {
		t.Errorf("%d alerts of nothing", len(c.Truth()))
	}
}

func TestWriteLeavesTheTruthOnlyWhereItIsAsked(t *testing.T) {
	o := Default()
	o.Noise = 5
	for _, truth := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "new")
		o.Truth = truth
		paths, err := Write(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range made(t)(Generate(o)).Files {
			if got, err := os.ReadFile(paths[i]); err != nil || !bytes.Equal(got, f.Data) {
				t.Errorf("%s: %v", paths[i], err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, TruthFile)); (err == nil) != truth {
			t.Errorf("truth wanted: %v, got %v", truth, err)
		}
	}
}
