package sentinel

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// tree is an alert's list of entities. Entities stand in each other ("ParentProcess", "ImageFile") or point
// to each other by {"$ref": id}, forward, backward and in circles, so nothing is ever expanded: a field is
// looked up when it is read.
type tree struct {
	byID map[string]format.Object
	// top are the entities in the source's order, and original what it wrote for each.
	top      []format.Object
	original map[uintptr]json.RawMessage
	// owned are the file hashes that belong to a file.
	owned map[uintptr]bool
}

func newTree(list []json.RawMessage) (*tree, error) {
	t := &tree{byID: map[string]format.Object{}, original: map[uintptr]json.RawMessage{}, owned: map[uintptr]bool{}}
	for i, raw := range list {
		o, err := format.ParseObject(raw)
		if err != nil {
			return nil, format.Invalid("entity %d: %v", i+1, err)
		}
		t.top = append(t.top, o)
		t.original[identity(o)] = format.Compact(raw)
		t.index(map[string]any(o))
	}
	for _, o := range t.top {
		t.own(map[string]any(o))
	}
	return t, nil
}

// identity tells two objects of equal content apart.
func identity(o format.Object) uintptr { return reflect.ValueOf(o).Pointer() }

func (t *tree) index(v any) {
	switch v := v.(type) {
	case map[string]any:
		if id := format.Object(v).Text("$id"); id != "" && t.byID[id] == nil {
			t.byID[id] = v
		}
		for _, child := range v {
			t.index(child)
		}
	case []any:
		for _, child := range v {
			t.index(child)
		}
	}
}

// own marks the hashes of files, wherever they stand.
func (t *tree) own(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, hash := range t.objects(v, "FileHashes") {
			t.owned[identity(hash)] = true
		}
		for _, child := range v {
			t.own(child)
		}
	case []any:
		for _, child := range v {
			t.own(child)
		}
	}
}

// resolve follows a reference; nil for one that dangles and for what is no object.
func (t *tree) resolve(v any) format.Object {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	if ref := format.Object(m).Text("$ref"); ref != "" {
		return t.byID[ref]
	}
	return m
}

// object is a nested entity, nil where there is none.
func (t *tree) object(o format.Object, key string) format.Object { return t.resolve(o[key]) }

// objects are the nested entities of a list.
func (t *tree) objects(o format.Object, key string) []format.Object {
	list, _ := o[key].([]any)
	var out []format.Object
	for _, v := range list {
		if m := t.resolve(v); m != nil {
			out = append(out, m)
		}
	}
	return out
}

// parts are fields whose entity is a part of its owner's evidence. It becomes evidence of its own only where
// the list names it too.
var parts = map[string]bool{"FileHashes": true, "ImageFile": true, "Key": true, "LastIpAddress": true,
	"LastExternalIpAddress": true, "IpAddresses": true, "DnsServerIp": true, "HostIpAddress": true,
	"SourceAddress": true, "DestinationAddress": true}

// walk visits every entity once: those of the list in order, each with the entities inside it behind it. What
// stands in the list is an entity even without a type.
func (t *tree) walk(visit func(o format.Object)) {
	seen := map[uintptr]bool{}
	var enter func(v any)
	enter = func(v any) {
		if list, ok := v.([]any); ok {
			for _, v := range list {
				enter(v)
			}
			return
		}
		o := t.resolve(v)
		if o == nil || seen[identity(o)] {
			return
		}
		seen[identity(o)] = true
		if _, top := t.original[identity(o)]; (top || typeOf(o) != "") && !t.owned[identity(o)] {
			visit(o)
		}
		for _, key := range slices.Sorted(maps.Keys(o)) {
			if !parts[key] {
				enter(o[key])
			}
		}
	}
	for _, o := range t.top {
		enter(map[string]any(o))
	}
}

// written is the entity as the source wrote it; one that stood inside another has its fields in order of
// name.
func (t *tree) written(o format.Object) (json.RawMessage, error) {
	if raw, ok := t.original[identity(o)]; ok {
		return raw, nil
	}
	return graph.EncodeJSON(o)
}

// typeOf is the entity's type in lower case without hyphens: the products do not agree on them.
func typeOf(o format.Object) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(o.Text("Type")))
}
