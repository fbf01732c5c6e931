package scenario

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

type record = map[string]any

// evidenceTypes are the 48 of Microsoft Graph Security v1.0 metadata.
const evidenceTypes = `activeDirectoryDomainEvidence aiAgentEvidence amazonResourceEvidence analyzedMessageEvidence
azureResourceEvidence blobContainerEvidence blobEvidence cloudApplicationEvidence cloudLogonRequestEvidence
cloudLogonSessionEvidence containerEvidence containerImageEvidence containerRegistryEvidence deviceEvidence
dnsEvidence fileEvidence fileHashEvidence gitHubOrganizationEvidence gitHubRepoEvidence gitHubUserEvidence
googleCloudResourceEvidence hostLogonSessionEvidence ioTDeviceEvidence ipEvidence kubernetesClusterEvidence
kubernetesControllerEvidence kubernetesNamespaceEvidence kubernetesPodEvidence kubernetesSecretEvidence
kubernetesServiceAccountEvidence kubernetesServiceEvidence mailClusterEvidence mailboxConfigurationEvidence
mailboxEvidence malwareEvidence networkConnectionEvidence nicEvidence oauthApplicationEvidence processEvidence
registryKeyEvidence registryValueEvidence sasTokenEvidence securityGroupEvidence servicePrincipalEvidence
submissionMailEvidence teamsMessageEvidence urlEvidence userEvidence`

// bundled is the default scenario, made once.
var bundled = sync.OnceValues(func() (Corpus, error) { return Generate(Default()) })

// crowded is a scenario in which what is rare in the bundled one happens: alerts at night and at the very end.
var crowded = sync.OnceValues(func() (Corpus, error) {
	return Generate(Options{Seed: 3, Start: Default().Start, Days: MinDays, Devices: 90, Identities: 90, Attacks: 6, Outbreaks: 3, Noise: 1800})
})

func demo(t *testing.T) Corpus { return made(t)(bundled()) }

func made(t *testing.T) func(Corpus, error) Corpus {
	return func(c Corpus, err error) Corpus {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func plain(t *testing.T, f File) []byte {
	t.Helper()
	if !strings.HasSuffix(f.Name, ".gz") {
		return f.Data
	}
	z, err := gzip.NewReader(bytes.NewReader(f.Data))
	if err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	return b
}

// records are the records of the files whose name begins so, with the strictness of encoding/json.
func records(t *testing.T, c Corpus, prefix string) []record {
	t.Helper()
	var all []record
	for _, f := range c.Files {
		if !strings.HasPrefix(f.Name, prefix) {
			continue
		}
		if f.Format == FormatGraph {
			var page struct{ Value []record }
			decode(t, f.Name, plain(t, f), &page)
			all = append(all, page.Value...)
			continue
		}
		for line := range bytes.Lines(plain(t, f)) {
			var r record
			decode(t, f.Name, line, &r)
			all = append(all, r)
		}
	}
	return all
}

func decode(t *testing.T, name string, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v in %.200s", name, err, data)
	}
}

// mainPages are the Graph alerts without their later versions.
func mainPages(t *testing.T, c Corpus) []record {
	t.Helper()
	later := map[string]bool{}
	for _, r := range records(t, c, "defender-alerts-updates") {
		later[str(r, "id")+str(r, "lastUpdateDateTime")] = true
	}
	var out []record
	for _, r := range records(t, c, "defender-alerts") {
		if !later[str(r, "id")+str(r, "lastUpdateDateTime")] {
			out = append(out, r)
		}
	}
	return out
}

func sentinelRows(t *testing.T, c Corpus) []record {
	return append(records(t, c, "identity"), records(t, c, "endpoint")...)
}

// labels by provider alert id.
func labels(c Corpus) map[string]string {
	m := map[string]string{}
	for _, l := range c.Truth() {
		m[l.ProviderAlertID] = l.Label
	}
	return m
}

// str reads a text along a path of names; "" where there is none.
func str(r record, path ...string) string {
	for _, p := range path[:len(path)-1] {
		r, _ = r[p].(record)
	}
	s, _ := r[path[len(path)-1]].(string)
	return s
}

// evidenceOf are an alert's pieces of evidence of one type; of all types where it is "".
func evidenceOf(r record, typ string) []record {
	var out []record
	list, _ := r["evidence"].([]any)
	for _, e := range list {
		if e, ok := e.(record); ok && (typ == "" || str(e, "@odata.type") == "#microsoft.graph.security."+typ) {
			out = append(out, e)
		}
	}
	return out
}

func graphTime(t *testing.T, r record, name string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, str(r, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return at
}
