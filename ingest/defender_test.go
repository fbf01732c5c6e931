package ingest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// responses are the real answers of Defender's APIs, and what an import of each counts. Actions, indicators, updates,
// recommendations and tokens are nobody's records: each is rejected.
var responses = map[string]map[string]Summary{
	"microsoft_defender_incidents": {
		"test_get_incident":    {Read: 1, Alerts: 1, Entities: 2, Edges: 1},
		"test_list_incidents":  {Read: 1, Alerts: 1, Entities: 2, Edges: 1},
		"test_update_incident": {Read: 1, Rejected: 1}, "test_get_auth_token": {Read: 1, Rejected: 1},
		"test_invalid_json_response": {Read: 1, Rejected: 1},
	},
	"microsoft_atp": {
		"test_get_alerts":                     {Read: 1, Alerts: 1, Entities: 8, Edges: 10},
		"test_update_alert":                   {Read: 1, Alerts: 1, Entities: 1},
		"test_get_machine_information_by_id":  {Read: 1, Entities: 1},
		"test_get_machine_information_first":  {Read: 4, Entities: 1, Updated: 3},
		"test_get_machine_information_second": {Read: 1, Entities: 1}, "test_get_related_machines": {Read: 2, Entities: 2},
		"test_search_machines": {Read: 2, Entities: 2}, "test_search_machines_empty": {},
		"test_manage_tags": {Read: 1, Entities: 1}, "test_find_machines_with_software": {Read: 2, Entities: 2},
		"test_get_installed_software": {Read: 1, Entities: 1}, "test_get_machine_vulnerabilities": {Read: 1, Entities: 1},
		"test_blacklist_search": {Read: 1, Rejected: 1}, "test_blacklist_submit": {Read: 1, Rejected: 1},
		"test_collect_investigation_package": {Read: 1, Rejected: 1}, "test_get_auth_token": {Read: 1, Rejected: 1},
		"test_get_files_from_alert": {Read: 1, Rejected: 1}, "test_get_machine_action": {Read: 1, Rejected: 1},
		"test_get_missing_software_updates": {Read: 1, Rejected: 1}, "test_get_security_recommendations": {Read: 1, Rejected: 1},
		"test_invalid_json_response": {Read: 1, Rejected: 1}, "test_isolate_machine": {Read: 1, Rejected: 1},
		"test_run_antivirus_scan": {Read: 1, Rejected: 1}, "test_stop_and_quarantine_file": {Read: 1, Rejected: 1},
		"test_unisolate_machine": {Read: 1, Rejected: 1},
	},
}

func TestTheRealAnswersOfDefendersAPIsAreRead(t *testing.T) {
	for plugin, files := range responses {
		dir := testData(t, filepath.Join("rapid7", "plugins", plugin, "unit_test", "responses"))
		paths, err := filepath.Glob(filepath.Join(dir, "*.json.resp"))
		if err != nil || len(paths) != len(files) {
			t.Errorf("%s: %d files, want %d (%v)", plugin, len(paths), len(files), err)
		}
		for _, path := range paths {
			name := strings.TrimSuffix(filepath.Base(path), ".json.resp")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var rejects bytes.Buffer
			p := pipeline(newRecorder())
			p.Rejects = &rejects
			if diff := cmp.Diff(files[name], run1(t, p, string(text))); diff != "" {
				t.Errorf("%s/%s: %s\n%s", plugin, name, diff, rejects.String())
			}
		}
	}
}

func TestAnAlertOfTenThousandEntitiesIsTakenOrRefusedWhole(t *testing.T) {
	types := []string{"User", "Ip", "Url", "File", "MailBox", "MailMessage", "MailCluster", "SecurityGroup", "Odd"}
	var light, heavy []string
	for i := range 10_000 {
		light = append(light, fmt.Sprintf(`{"entityType":%q,"accountName":"u%[2]d","domainName":"d","ipAddress":"198.51.100.%[3]d","url":"http://example.org/%[2]d","sha1":"%040[2]x","mailboxAddress":"u%[2]d@contoso.com","recipient":"u%[2]d@contoso.com","securityGroupName":"g%[2]d"}`,
			types[i%len(types)], i+1, i%256))
		heavy = append(heavy, fmt.Sprintf(`{"entityType":"Process","processId":%[1]d,"processCreationTime":"2026-03-04T05:00:00Z","parentProcessId":%[2]d,"parentProcessCreationTime":"2026-03-04T04:00:00Z","accountName":"u%[1]d","domainName":"d","sha1":"%040[1]x"}`, i+1, i+20_001))
	}
	for name, c := range map[string]struct {
		entities []string
		want     Summary
	}{"light": {light, Summary{Read: 1, Alerts: 1}}, "heavy": {heavy, Summary{Read: 1, Rejected: 1}}} {
		var rejects bytes.Buffer
		s := newRecorder()
		p := pipeline(s)
		p.Rejects = &rejects
		text := `{"incidentId":7,"incidentName":"x","alerts":[{"alertId":"1","serviceSource":"OfficeATP","creationTime":"2026-03-04T05:00:00Z","devices":[{"mdatpDeviceId":"m1"}],"entities":[` + strings.Join(c.entities, ",") + `]}]}`
		got := run1(t, p, text)
		t.Logf("%s: %+v", name, got)
		got.Entities, got.Edges = 0, 0
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if reason, _, _ := strings.Cut(rejects.String(), `"record"`); c.want.Rejected > 0 && !strings.Contains(reason, "at most 50000") {
			t.Errorf("%s: %s", name, reason)
		}
	}
}
