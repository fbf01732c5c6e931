package cached

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

// page20KB is an incident of ten alerts, each with four pieces of evidence, about 20 KB as JSON.
func page20KB() graph.Batch {
	all := alertAbout("0", "pc1")
	for n := range 10 {
		b := alertAbout(fmt.Sprint(n), "pc1")
		a := b.Alerts[0]
		a.Description = "A process with an unusual parent read the memory of the local security authority and then opened connections."
		for i := range 3 {
			hash := sha256.Sum256(fmt.Append(nil, n, i))
			f, _ := graph.NewKey(graph.KindFile, graph.KeySHA256, fmt.Sprintf("%x", hash))
			o := graph.EntityObservation{Keys: []graph.Key{f}, ObservedAt: graphtest.Epoch, Source: "endpoint"}
			body, _ := json.Marshal(map[string]any{
				"@odata.type": graph.ODataPrefix + "fileEvidence", "verdict": "malicious", "remediationStatus": "prevented",
				"detectionStatus": "detected", "mdeDeviceId": fmt.Sprintf("%x", hash[:20]), "createdDateTime": "2026-03-02T08:00:00Z",
				"fileDetails": map[string]any{
					"sha1": fmt.Sprintf("%x", hash[:20]), "sha256": f.Value, "fileName": fmt.Sprintf("tool%d.exe", i),
					"filePath": `C:\ProgramData\Package Cache\update`, "fileSize": 48128 + n*i,
				},
			})
			all.Entities = append(all.Entities, o)
			a.Evidence = append(a.Evidence, graph.Evidence{Type: "fileEvidence", Entity: o.ID(), Body: body})
		}
		if n > 0 {
			all.Alerts = append(all.Alerts, a)
		} else {
			all.Alerts[0] = a
		}
	}
	return all
}

// hot20KB is a cache that holds the page.
func hot20KB(b *testing.B, o Options) (*Store, graph.Store) {
	b.Helper()
	store := openStore(b)
	apply(b, store, graphtest.Tenant, page20KB())
	o.eager = true
	s, _ := open(b, store, o)
	readOne(b, s, view, 1)
	return s, store
}

func bench(b *testing.B, r graph.Reader, before func()) {
	b.ReportAllocs()
	for b.Loop() {
		if before != nil {
			before()
		}
		if page, err := r.Alerts(bg, view, oneIncident(1)); err != nil || len(page.Items) != 10 {
			b.Fatal(err)
		}
	}
}

// BenchmarkAlerts reads the page from the store, and through the cache from each tier. What lies under
// "version read" reads the version from the store each time.
func BenchmarkAlerts(b *testing.B) {
	s, store := hot20KB(b, Options{})
	b.Run("store", func(b *testing.B) { bench(b, store, nil) })
	b.Run("memory, version read", func(b *testing.B) { bench(b, s, nil) })
	b.Run("miss, version read", func(b *testing.B) { bench(b, s, s.memory.kept.InvalidateAll) })
	trusting, _ := hot20KB(b, Options{Trust: MaxTrust})
	b.Run("memory, version trusted", func(b *testing.B) { bench(b, trusting, nil) })
	server := startRedis(b, realserver.RedisOptions{})
	tiered, _ := hot20KB(b, Options{Redis: tier(server.Addr)})
	eventually(b, "it lies in Redis", func() bool {
		k := keyOf(view, kindAlerts)
		i, _ := tiered.readIncident(bg, view, 1)
		k.id = i.ID
		_, ok := tiered.redis.get(bg, k.at(versionOf(i)))
		return ok
	})
	b.Run("redis, version read", func(b *testing.B) { bench(b, tiered, tiered.memory.kept.InvalidateAll) })
}

// BenchmarkVersion is what knowing the version costs: by the incident's own row, and by Incident.ContentVersion.
func BenchmarkVersion(b *testing.B) {
	_, store := hot20KB(b, Options{})
	for name, with := range map[string]bool{"own": false, "contentVersion": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := store.Incidents(bg, view, graph.IncidentQuery{IDs: []graph.IncidentID{1}, WithContentVersion: with}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBytes is what a value costs on its way to Redis and back, without the way. JSON, deflate and sealing
// what is not packed are there to compare with.
func BenchmarkBytes(b *testing.B) {
	_, store := hot20KB(b, Options{})
	alerts := readOne(b, store, view, 1).Items
	plain := appendAlerts(nil, alerts)
	doc, _ := json.Marshal(alerts)
	k := key{kind: kindAlerts, tenant: graphtest.Tenant, id: 1}
	slot := must(slotOf(make([]byte, MinSecretBytes), k))(b)
	content, flat := packed(alerts, 1<<20), deflated(plain)
	sealed, sealedPlain := slot.seal(content), slot.seal(plain)
	b.Logf("%d bytes as JSON, %d here, %d packed, %d deflated", len(doc), len(plain), len(content), len(flat))
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"append", func() { appendAlerts(nil, alerts) }},
		{"read", func() { _, _ = readAlerts(plain) }},
		{"read JSON", func() { var a []graph.Alert; _ = json.Unmarshal(doc, &a) }},
		{"copy", func() { copyAlerts(alerts) }},
		{"slot", func() { _, _ = slotOf(make([]byte, MinSecretBytes), k) }},
		{"pack", func() { packed(alerts, 1<<20) }},
		{"seal", func() { slot.seal(content) }},
		{"seal unpacked", func() { slot.seal(plain) }},
		{"open", func() { _, _ = slot.open(sealed) }},
		{"open unpacked", func() { _, _ = slot.open(sealedPlain) }},
		{"unpack", func() { _, _ = unpacked(content, 1<<20) }},
		{"deflate", func() { deflated(plain) }},
		{"inflate", func() { _, _ = io.Copy(io.Discard, flate.NewReader(bytes.NewReader(flat))) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.do()
			}
		})
	}
}

func deflated(plain []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed)
	_, _ = w.Write(plain)
	_ = w.Close()
	return out.Bytes()
}
