package ingest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/google/go-cmp/cmp"
)

const (
	annID   = "11111111-0000-4000-8000-000000000001"
	annSID  = "S-1-5-21-1111111111-2222222222-3333333333-1105"
	pcID    = "22222222-0000-4000-8000-000000000001"
	traceID = "99999999-0000-4000-8000-000000000001"
)

// sources each tell of the same person, device, mailbox or message.
var sources = map[string]string{
	"entra user": `{"id":"` + annID + `","userPrincipalName":"ann@contoso.com","displayName":"Ann","onPremisesSecurityIdentifier":"` + annSID + `",` +
		`"memberOf":[{"@odata.type":"#microsoft.graph.directoryRole","id":"44444444-0000-4000-8000-000000000001","displayName":"Global Administrator"}]}`,
	"entra device": `{"id":"22222222-0000-4000-8000-000000000101","deviceId":"` + pcID + `","displayName":"PC-1","operatingSystem":"Windows","trustType":"AzureAd"}`,
	"sign-in": `{"id":"s1","createdDateTime":"2026-03-02T08:00:00Z","userId":"` + strings.ToUpper(annID) + `","userPrincipalName":"Ann@contoso.com","appId":"c44b4083-3bb0-49c1-b47d-974e53cbdf3c",` +
		`"ipAddress":"203.0.113.7","status":{"errorCode":0},"deviceDetail":{"deviceId":"` + pcID + `"}}`,
	"sign-in row": `{"Id":"s1","TimeGenerated":"2026-03-02T08:00:00.5Z","UserId":"` + annID + `","UserPrincipalName":"ann@contoso.com","AppId":"c44b4083-3bb0-49c1-b47d-974e53cbdf3c","IPAddress":"203.0.113.7","ResultType":"0"}`,
	"intune":      `{"id":"22222222-0000-4000-8000-000000000201","azureADDeviceId":"` + strings.ToUpper(pcID) + `","deviceName":"PC-1","userId":"` + annID + `","lastSyncDateTime":"2026-03-01T00:00:00Z"}`,
	"mailbox":     `{"ExternalDirectoryObjectId":"` + annID + `","UserPrincipalName":"ann@contoso.com","PrimarySmtpAddress":"Ann.Example@contoso.com","RecipientTypeDetails":"UserMailbox"}`,
	"trace":       `{"MessageTraceId":"` + traceID + `","MessageId":"<1@x>","Received":"2026-03-02T07:55:00","SenderAddress":"billing@fabrikam.com","RecipientAddress":"Ann.Example@contoso.com","Status":"Delivered"}`,
	"audit":       `{"CreationTime":"2026-03-02T08:01:00","Id":"a1","Operation":"UserLoggedIn","RecordType":15,"UserKey":"` + annID + `","UserId":"ann@contoso.com","ClientIP":"203.0.113.7"}`,
	"alert": `{"id":"1","productName":"P","serviceSource":"microsoftDefenderForEndpoint","createdDateTime":"2026-03-02T09:00:00Z","evidence":[` +
		`{"@odata.type":"#microsoft.graph.security.deviceEvidence","mdeDeviceId":"m1","azureAdDeviceId":"` + pcID + `"},` +
		`{"@odata.type":"#microsoft.graph.security.userEvidence","userAccount":{"azureAdUserId":"` + annID + `"}},` +
		`{"@odata.type":"#microsoft.graph.security.mailboxEvidence","primaryAddress":"ann.example@contoso.com"},` +
		`{"@odata.type":"#microsoft.graph.security.analyzedMessageEvidence","networkMessageId":"` + traceID + `","recipientEmailAddress":"ann.example@contoso.com"}]}`,
	"alert by SID": `{"id":"2","productName":"P","serviceSource":"microsoftDefenderForEndpoint","createdDateTime":"2026-03-02T09:00:00Z","evidence":[` +
		`{"@odata.type":"#microsoft.graph.security.userEvidence","userAccount":{"userSid":"` + annSID + `"}}]}`,
}

// strong are the nodes of a kind that have a strong key.
func (r *recorder) strong(t *testing.T, kind graph.Kind) []graph.Entity {
	t.Helper()
	all, err := r.Entities(context.Background(), graph.View{Tenant: tenant}, graph.EntityQuery{Kinds: []graph.Kind{kind}})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, graph.Entity.WeakOnly)
}

func TestOneThingIsOneEntityWhoeverTellsOfIt(t *testing.T) {
	names := slices.Sorted(maps.Keys(sources))
	var digests []string
	for turn := range names { // whoever comes first
		s := newRecorder()
		for i := range names {
			run1(t, pipeline(s), sources[names[(i+turn)%len(names)]])
		}
		for _, kind := range []graph.Kind{graph.KindIdentity, graph.KindDevice, graph.KindMailbox, graph.KindMailMessage, graph.KindCloudApplication, graph.KindSecurityGroup} {
			if found := s.strong(t, kind); len(found) != 1 {
				t.Errorf("from %s on: %d of kind %s: %v", names[turn], len(found), kind, found)
			}
		}
		digests = append(digests, s.digest(t))
	}
	if len(slices.Compact(digests)) != 1 {
		t.Error("the graph depends on the order of the sources")
	}
}

func TestADirectoryRoleMakesItsMemberCritical(t *testing.T) {
	s := newRecorder()
	run1(t, pipeline(s), sources["entra user"])
	if g := (graph.Criticalities{}).Of(s.strong(t, graph.KindIdentity)[0]); g.Rule != "Privileged directory role" {
		t.Errorf("%+v", g)
	}
}

func TestASignInThatTwoProductsTellIsOneSighting(t *testing.T) {
	s := newRecorder()
	run1(t, pipeline(s), sources["sign-in"]+"\n"+sources["sign-in row"])
	for e, err := range s.Edges(context.Background(), graph.View{Tenant: tenant}, graph.EdgeQuery{}) {
		if err != nil || e.Count != 1 {
			t.Errorf("%s: %d sightings (%v)", e.Kind, e.Count, err)
		}
	}
}

func TestAnInventoryReadEveryDayIsOneSighting(t *testing.T) {
	s := newRecorder()
	for day := range 9 {
		run1(t, pipeline(s), strings.Replace(sources["intune"], "2026-03-01", fmt.Sprintf("2026-03-%02d", day+1), 1))
	}
	for e, err := range s.Edges(context.Background(), graph.View{Tenant: tenant}, graph.EdgeQuery{}) {
		if err != nil || e.Count != 1 || e.LastSeen.Day() != 9 || e.FirstSeen.Day() != 1 {
			t.Errorf("%+v (%v)", e, err)
		}
	}
}

// samplesOf are the texts of the samples of formats that tell of things.
func samplesOf(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"entra", "intune", "exchange", "o365audit"} {
		paths, _ := filepath.Glob(filepath.Join("testdata", "formats", name, "*.json"))
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			out[path] = string(text)
		}
	}
	if len(out) == 0 {
		t.Fatal("no samples")
	}
	return out
}

func TestTheSameInventoryAgainAddsNothing(t *testing.T) {
	for path, text := range samplesOf(t) {
		s := newRecorder()
		first := run1(t, pipeline(s), text)
		before, batches := s.digest(t), len(s.batches)
		units := 0
		for _, b := range s.batches[:batches] {
			units += len(b.Edges)
			if len(b.Edges) == 0 {
				units += len(b.Entities)
			}
		}
		want := Summary{Read: first.Read, Rejected: first.Rejected, Duplicates: units}
		if diff := cmp.Diff(want, run1(t, pipeline(s), text)); diff != "" || s.digest(t) != before || units == 0 {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

func TestTheOrderOfAnInventoryDoesNotMatter(t *testing.T) {
	for path, text := range samplesOf(t) {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if !strings.HasPrefix(text, "{\"") { // not one record on each line
			continue
		}
		forth, back := newRecorder(), newRecorder()
		run1(t, pipeline(forth), text)
		slices.Reverse(lines)
		run1(t, pipeline(back), strings.Join(lines, "\n"))
		if len(lines) < 2 || forth.digest(t) != back.digest(t) {
			t.Errorf("%s: the order of %d lines makes another graph", path, len(lines))
		}
	}
}

func TestARecordThatSaysNothingIsRead(t *testing.T) {
	s, rejects := newRecorder(), bytes.Buffer{}
	p := pipeline(s)
	p.Rejects, p.Strict = &rejects, true
	nothing := `{"CreationTime":"2026-03-02T08:01:00","Id":"a1","Operation":"FileAccessed","RecordType":6}`
	got := run1(t, p, nothing+"\n"+nothing)
	if diff := cmp.Diff(Summary{Read: 2}, got); diff != "" || len(s.batches) != 0 || rejects.Len() != 0 {
		t.Error(diff, len(s.batches), rejects.String())
	}
	reject := `{"file":"f","line":1,"reason":"r","record":` + nothing + `}`
	if diff := cmp.Diff(Summary{Read: 1}, run1(t, p, reject)); diff != "" {
		t.Error(diff)
	}
}

// A group in one record may have more members than a batch can hold, and each of its relations would carry the whole
// record's text into the reckoning of the batch's size.
func TestAHundredThousandMembersAreTakenInBatchesThatFit(t *testing.T) {
	const members = 100_000
	var text strings.Builder
	text.WriteString(`{"id":"33333333-0000-4000-8000-000000000001","groupTypes":[],"displayName":"Everybody","description":"` + strings.Repeat("x", 1<<20) + `","members":[`)
	for i := range members {
		if i > 0 {
			text.WriteString(",")
		}
		fmt.Fprintf(&text, `{"@odata.type":"#microsoft.graph.user","id":"11111111-0000-4000-8000-%012d"}`, i)
	}
	text.WriteString("]}")
	s := &recorder{}
	s.refuse = func(b graph.Batch) error { return b.Validate() }
	run1(t, pipeline(s), text.String())
	edges := 0
	for _, b := range s.batches {
		edges += len(b.Edges)
	}
	if most := members/DefaultBatch + 2; edges != members || len(s.batches) > most {
		t.Errorf("%d members in %d batches, want at most %d", edges, len(s.batches), most)
	}
}

func TestAMemberThatCannotBeReadLeavesTheOthers(t *testing.T) {
	s, rejects := newRecorder(), bytes.Buffer{}
	p := pipeline(s)
	p.Rejects = &rejects
	got := run1(t, p, `{"id":"33333333-0000-4000-8000-000000000001","groupTypes":[],"members":[{"id":"?","userPrincipalName":"a@b.c"},{"id":"`+annID+`","userPrincipalName":"ann@contoso.com"}]}`)
	if diff := cmp.Diff(Summary{Read: 1, Entities: 2, Edges: 1, Rejected: 1}, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(rejects.String(), `"reason":"member 1 of the group: the user has no id that is a GUID of its own","record":{"id":"?"`) {
		t.Error(rejects.String())
	}
}
