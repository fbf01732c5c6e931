package resolvers_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

func schema(t testing.TB) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	s, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own are the types that the schema itself declares.
func own(s *ast.Schema) []*ast.Definition {
	var out []*ast.Definition
	for _, d := range s.Types {
		if !d.BuiltIn && !strings.HasPrefix(d.Name, "__") {
			out = append(out, d)
		}
	}
	return out
}

func TestEverySchemaElementIsDescribed(t *testing.T) {
	n := 0
	described := func(what, text string) {
		n++
		if text == "" || !slices.Contains([]string{".", ")"}, text[len(text)-1:]) && !strings.Contains(text, "2026") {
			t.Errorf("%s: %q", what, text)
		}
	}
	for _, d := range own(schema(t)) {
		described(d.Name, d.Description)
		for _, v := range d.EnumValues {
			described(d.Name+"."+v.Name, v.Description)
		}
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			described(d.Name+"."+f.Name, f.Description)
			for _, a := range f.Arguments {
				described(d.Name+"."+f.Name+"("+a.Name+")", a.Description)
			}
		}
	}
	if n < 1500 {
		t.Errorf("only %d elements were looked at", n)
	}
}

// GraphQL makes every type repeat the fields of its interfaces; they must not come to differ.
func TestTypesDescribeInterfaceFieldsAsTheInterfaceDoes(t *testing.T) {
	s := schema(t)
	for _, d := range own(s) {
		for _, name := range d.Interfaces {
			if name == "Node" {
				continue
			}
			for _, want := range s.Types[name].Fields {
				got := d.Fields.ForName(want.Name)
				if got.Description != want.Description || len(got.Arguments) != len(want.Arguments) {
					t.Errorf("%s.%s differs from %s's", d.Name, got.Name, name)
				}
				for i, a := range want.Arguments {
					g := got.Arguments[i]
					if g.Description != a.Description || g.Type.String() != a.Type.String() || g.DefaultValue.String() != a.DefaultValue.String() {
						t.Errorf("%s.%s(%s) differs from %s's", d.Name, got.Name, a.Name, name)
					}
				}
			}
		}
	}
}

// Every list of a connection is bounded by first, whose default is the same everywhere.
func TestEveryConnectionIsPagedTheSameWay(t *testing.T) {
	n := 0
	for _, d := range own(schema(t)) {
		for _, f := range d.Fields {
			if !strings.HasSuffix(f.Type.Name(), "Connection") {
				continue
			}
			n++
			first, after := f.Arguments.ForName("first"), f.Arguments.ForName("after")
			if first == nil || after == nil || first.DefaultValue.String() != "50" || !f.Type.NonNull {
				t.Errorf("%s.%s is not paged as the others are", d.Name, f.Name)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d connections", n)
	}
}

func TestEnumerationsHaveTheDomainsValues(t *testing.T) {
	s := schema(t)
	var kinds, edges []string
	for k := graph.Kind(1); k.Entity(); k++ {
		kinds = append(kinds, k.String())
	}
	for _, r := range graph.EdgeKinds() {
		if r.Kind != graph.EdgeEvidenceOf && r.Kind != graph.EdgeInIncident { // in no answer of a store
			edges = append(edges, r.Name)
		}
	}
	severities := []string{}
	for _, v := range graph.Severities() {
		severities = append(severities, string(v))
	}
	var grades, sources []string
	for c := graph.CriticalityUnknown; c <= graph.CriticalityVeryHigh; c++ {
		grades = append(grades, c.String())
	}
	for _, v := range graph.CriticalitySources() {
		sources = append(sources, string(v))
	}
	var actions []string
	for _, v := range graph.ResponseActions() {
		actions = append(actions, string(v))
	}
	for name, want := range map[string][]string{"ResponseAction": actions, "Criticality": grades, "CriticalitySource": sources, "EntityKind": kinds, "EdgeKind": append(edges, "unknownFutureValue"), "AlertSeverity": append(severities, "unknownFutureValue")} {
		var got []string
		for _, v := range s.Types[name].EnumValues {
			got = append(got, v.Name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, the domain %v", name, got, want)
		}
	}
}

// Values that a source wrote and the schema knows come through; others are unknownFutureValue, and unset ones
// null or unknown.
func TestEnumerationsOfTheSchemaComeThrough(t *testing.T) {
	s := schema(t)
	for _, c := range []struct{ enum, field, selection string }{
		{"EvidenceRole", `"roles":["%"]`, "roles"}, {"EvidenceVerdict", `"verdict":"%"`, "verdict"}, {"EvidenceRemediationStatus", `"remediationStatus":"%"`, "remediationStatus"},
	} {
		values := []string{"somethingNew"}
		for _, v := range s.Types[c.enum].EnumValues {
			values = append(values, v.Name)
		}
		for _, v := range values {
			got := oneEvidence(t, "urlEvidence", strings.ReplaceAll(c.field, "%", v), c.selection)[c.selection]
			if l, ok := got.([]any); ok {
				got = l[0]
			}
			want := v
			if v == "somethingNew" {
				want = "unknownFutureValue"
			}
			if got != want {
				t.Errorf("%s %s is answered as %v", c.enum, v, got)
			}
		}
	}
}

// oneEvidence asks for one piece of evidence with this type and body.
func oneEvidence(t testing.TB, typ, fields, selection string) map[string]any {
	t.Helper()
	store := graphtest.NewModel(graphtest.NewClock().Now)
	p := &phishing{store: store}
	a := alert("e", "Evidence", 1, evidence(typ, graph.EntityObservation{}, fields))
	p.apply(t, a)
	got := ask(t, handler(store), `query($id: ID!) {alert(id: $id) {evidence {`+selection+`}}}`, "id", a.ID().String())
	return got.at(t, "alert", "evidence", 0).(map[string]any)
}

// sample is a JSON value of a field's type, so that every typed field is seen to be read.
func sample(s *ast.Schema, typ *ast.Type, depth int) any {
	if typ.Elem != nil {
		return []any{sample(s, typ.Elem, depth)}
	}
	switch typ.NamedType {
	case "String":
		return "text"
	case "Boolean":
		return true
	case "Int", "Long", "Float":
		return 7.0
	case "DateTime":
		return "2026-03-02T08:00:00Z"
	}
	return body(s, typ.NamedType, depth-1)
}

// body is an object with all fields of the type but those that are not read from a body.
func body(s *ast.Schema, typ string, depth int) map[string]any {
	out := map[string]any{}
	for _, f := range s.Types[typ].Fields {
		if d := s.Types[f.Type.Name()]; leaf(d) || depth > 0 {
			if !slices.Contains([]string{"entity", "raw", "evidenceType", "__typename", "roles", "verdict", "remediationStatus"}, f.Name) && !strings.HasPrefix(f.Name, "__") {
				out[f.Name] = sample(s, f.Type, depth)
			}
		}
	}
	return out
}

func leaf(d *ast.Definition) bool { return d.Kind == ast.Scalar || d.Kind == ast.Enum }

// selectionOf selects what body has.
func selectionOf(fields map[string]any) string {
	var out []string
	for name, v := range fields {
		if l, ok := v.([]any); ok {
			v = l[0]
		}
		if m, ok := v.(map[string]any); ok {
			name += " {" + selectionOf(m) + "}"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// Every type of evidence in the schema is chosen by its OData name, and every field of it is read from the
// body's field of the same name.
func TestEveryEvidenceTypeIsReadWhole(t *testing.T) {
	s := schema(t)
	n := 0
	for _, d := range s.GetPossibleTypes(s.Types["Evidence"]) {
		if d.Name == "OtherEvidence" {
			continue
		}
		n++
		fields := body(s, d.Name, 2)
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		odata := strings.ToLower(d.Name[:1]) + d.Name[1:]
		got := oneEvidence(t, odata, string(text[1:len(text)-1]), "__typename ... on "+d.Name+" {"+selectionOf(fields)+"}")
		if got["__typename"] != d.Name {
			t.Errorf("%s is answered as %v", odata, got["__typename"])
		}
		delete(got, "__typename")
		again, err := json.Marshal(got)
		if err != nil || string(again) != string(text) {
			t.Errorf("%s: of %s\ncame %s", odata, text, again)
		}
	}
	if n < 25 {
		t.Errorf("only %d types of evidence", n)
	}
}

func TestEvidenceThatIsUnknownOrBrokenIsKeptWhole(t *testing.T) {
	for _, c := range []struct{ typ, fields, typename string }{
		{"quantumEvidence", `"qubits":[1,null,{"a":"<b>"}]`, "OtherEvidence"},
		{"kubernetesPodEvidence", `"name":"web"`, "OtherEvidence"},
		{"deviceEvidence", `"hostName":5,"osBuild":"x","roles":"none","loggedOnUsers":[null,5],"firstSeenDateTime":{},"mdeDeviceId":"kept"`, "DeviceEvidence"},
	} {
		got := oneEvidence(t, c.typ, c.fields, "__typename evidenceType raw roles ... on DeviceEvidence {mdeDeviceId hostName osBuild firstSeenDateTime loggedOnUsers {accountName}}")
		if got["__typename"] != c.typename || got["evidenceType"] != c.typ {
			t.Errorf("%s is answered as %v", c.typ, got)
		}
		raw, _ := json.Marshal(got["raw"])
		var want, have any
		_ = json.Unmarshal([]byte(`{"@odata.type":"`+graph.ODataPrefix+c.typ+`",`+c.fields+`}`), &want)
		_ = json.Unmarshal(raw, &have)
		if w, _ := json.Marshal(want); string(w) != string(raw) {
			t.Errorf("%s came back as %s", w, raw)
		}
		if c.typ == "deviceEvidence" && (got["mdeDeviceId"] != "kept" || got["hostName"] != nil) {
			t.Errorf("fields of another type disturb the others: %v", got)
		}
	}
}

// Every kind of entity has a type of its own, and every field of it is read from a property of that name.
func TestEveryKindOfEntityHasItsType(t *testing.T) {
	s := schema(t)
	seen := map[string]bool{}
	for k := graph.Kind(1); k.Entity(); k++ {
		id, typename, fields := storedEntity(t, s, k)
		seen[typename] = true
		common := map[string]bool{}
		for _, f := range s.Types["Entity"].Fields {
			common[f.Name] = true
		}
		for _, f := range s.Types[typename].Fields {
			if !common[f.Name] && !strings.HasPrefix(f.Name, "__") && fields[f.Name] == nil {
				t.Errorf("%s.%s of %s is null", typename, f.Name, id)
			}
		}
	}
	if want := len(s.GetPossibleTypes(s.Types["Entity"])); len(seen) != want {
		t.Errorf("%d types of entity for %d kinds", len(seen), want)
	}
}

func storedEntity(t testing.TB, s *ast.Schema, k graph.Kind) (id graph.ID, typename string, fields map[string]any) {
	t.Helper()
	o := graph.EntityObservation{Source: "test", Properties: map[string]json.RawMessage{}}
	for _, row := range graph.KeyTable(k) {
		for _, v := range []string{"7", "11111111-1111-1111-1111-111111111111", "S-1-5-21-1-2-3-1001", strings.Repeat("a", 64), strings.Repeat("a", 40), strings.Repeat("a", 32), "203.0.113.7", "10.0.0.7", "ann@example.com", "https://example.com/", "example.com"} {
			if key, ok := graph.NewKey(k, row.Type, v); ok {
				o.Keys = append(o.Keys, key)
				break
			}
		}
	}
	p := &phishing{store: graphtest.NewModel(graphtest.NewClock().Now)}
	h := handler(p.store)
	p.put(t, o)
	typename = ask(t, h, `query($id: ID!) {entity(id: $id) {__typename}}`, "id", o.ID().String()).at(t, "entity", "__typename").(string)
	var names []string
	for _, f := range s.Types[typename].Fields {
		if s.Types["Entity"].Fields.ForName(f.Name) == nil && !strings.HasPrefix(f.Name, "__") {
			names = append(names, f.Name)
			o.Properties[f.Name], _ = json.Marshal(sample(s, f.Type, 0))
		}
	}
	p.put(t, o)
	got := ask(t, h, `query($id: ID!) {entity(id: $id) {kind ... on `+typename+` {id `+strings.Join(names, " ")+`}}}`, "id", o.ID().String())
	if got.at(t, "entity", "kind") != k.String() {
		t.Errorf("%s: %s", k, got.body)
	}
	return o.ID(), typename, got.at(t, "entity").(map[string]any)
}

// What is served is what the file says. (That all generated code is fresh is for CI: `go tool gqlgen generate`
// must change nothing.)
func TestTheServedSchemaIsTheFile(t *testing.T) {
	s := schema(t)
	a := ask(t, handler(newPhishing(t).store), `{__schema {types {name description fields {name description type {kind name ofType {kind name ofType {kind name ofType {name}}}} args {name description defaultValue}} enumValues {name description} inputFields {name description}}}}`)
	served := map[string]map[string]any{}
	for _, v := range a.at(t, "__schema", "types").([]any) {
		served[v.(map[string]any)["name"].(string)] = v.(map[string]any)
	}
	for _, d := range own(s) {
		got := served[d.Name]
		if got == nil || got["description"] != d.Description {
			t.Fatalf("%s is served as %v", d.Name, got)
		}
		fields := slices.DeleteFunc(slices.Clone(d.Fields), func(f *ast.FieldDefinition) bool { return strings.HasPrefix(f.Name, "__") })
		list, _ := got["fields"].([]any)
		if d.Kind == ast.InputObject {
			list, _ = got["inputFields"].([]any)
		}
		if len(list) != len(fields) {
			t.Fatalf("%s is served with %d fields, the file has %d", d.Name, len(list), len(fields))
		}
		for i, f := range fields {
			m := list[i].(map[string]any)
			if m["name"] != f.Name || m["description"] != f.Description {
				t.Errorf("%s.%s is served as %v", d.Name, f.Name, m)
			}
		}
		values, _ := got["enumValues"].([]any)
		if len(values) != len(d.EnumValues) {
			t.Errorf("%s is served with %d values", d.Name, len(values))
		}
	}
}
