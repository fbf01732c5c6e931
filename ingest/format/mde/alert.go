package mde

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/flat"
)

// decodeAlert reads an alert; its Source is all of it but its evidence.
func decodeAlert(raw []byte) ([]format.Record, error) {
	fields, err := format.FieldsOf(raw)
	if err != nil {
		return nil, err
	}
	source, listed := fields.Without("evidence"), fields.Raw("evidence")
	o, err := format.ParseObject(source)
	if err != nil {
		return nil, err
	}
	a, err := content(o)
	if err != nil {
		return nil, fmt.Errorf("alert %q: %w", o.Text("id"), err)
	}
	if err := format.Finish(a); err != nil {
		return nil, err
	}
	if a.Evidence, err = evidence(o, listed, a); err != nil {
		return nil, fmt.Errorf("alert %q: %w", a.ProviderAlertID, err)
	}
	a.Source = source
	return []format.Record{{Alert: a}}, nil
}

// content: the API names no service. Some of its alerts are other products', which their ids tell.
func content(o format.Object) (*graph.AlertContent, error) {
	if err := o.CheckTexts(append(flat.Texts(), "id", "threatName", "machineId", "computerDnsName")...); err != nil {
		return nil, err
	}
	dates, err := o.Dates("firstEventTime", "lastEventTime", "alertCreationTime", "lastUpdateTime")
	if err != nil {
		return nil, err
	}
	a := flat.Content(o)
	a.Format, a.ProviderAlertID, a.ThreatDisplayName = formatName, o.Text("id"), o.Text("threatName")
	if a.ServiceSource = format.ServiceOfID(a.ProviderAlertID); a.ServiceSource == graph.ServiceUnknown {
		a.ServiceSource = graph.ServiceDefenderEndpoint
	}
	a.FirstActivity, a.LastActivity = dates["firstEventTime"], dates["lastEventTime"]
	a.SourceCreated, a.SourceUpdated = dates["alertCreationTime"], dates["lastUpdateTime"]
	return a, nil
}

// evidence is what the alert lists, with the machine before it and the user behind it, which stand at the alert itself.
func evidence(o format.Object, listed json.RawMessage, a *graph.AlertContent) ([]graph.Evidence, error) {
	var out []graph.Evidence
	if body := machine(o); len(body) > 0 {
		e, err := flat.Evidence("deviceEvidence", body, nil, a.SourceCreated)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	entities, err := flat.Entities("evidence", listed, a.SourceCreated)
	if err != nil {
		return nil, err
	}
	out = append(out, entities...)
	user := o.Object("relatedUser")
	if user.Text("userName") == "" || names(entities, user) {
		return out, nil
	}
	account := format.Body{}.Texts(user, "accountName", "userName", "domainName", "domainName")
	e, err := flat.Evidence("userEvidence", format.Body{"userAccount": account}, nil, a.SourceCreated)
	return append(out, e), err
}

// machine is the alert's. Other fields of a device stand at the alert for other reasons.
func machine(o format.Object) format.Body {
	own := format.Object{}
	for _, name := range []string{"machineId", "computerDnsName", "rbacGroupName", "loggedOnUsers"} {
		own[name] = o[name]
	}
	if own.First("machineId", "computerDnsName") == "" {
		return nil
	}
	return flat.Device(own)
}

// names reports whether the evidence has the alert's user: it tells more of him.
func names(entities []graph.Evidence, user format.Object) bool {
	for _, e := range entities {
		if o, err := format.ParseObject(e.Original); err == nil && strings.EqualFold(o.Text("accountName"), user.Text("userName")) {
			return true
		}
	}
	return false
}
