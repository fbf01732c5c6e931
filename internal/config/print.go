package config

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shownSetting is a setting as it is printed.
type shownSetting struct {
	key, text, source string
	number            bool
}

// shown lists all settings in order. A secret that came from a file is shown as that file's name, any other as
// Redacted, an unset one not at all.
func (l Loaded) shown() []shownSetting {
	var out []shownSetting
	for _, f := range Fields() {
		v := f.at(&l.Config)
		s := shownSetting{f.Key, v.text(), l.source[f.Key], isNumber(v)}
		if secret, ok := v.(secretValue); ok && secret.at.file != "" {
			s.key, s.text = fileKey(f.Key), secret.at.file
		}
		if !f.Secret || s.text != "" {
			out = append(out, s)
		}
	}
	return out
}

func isNumber(v value) bool {
	_, is := v.(numberValue)
	return is
}

// WriteYAML writes the configuration as a file that reads back as the same, but for secrets that did not come from
// a file; with sources, each line says where its value comes from.
func (l Loaded) WriteYAML(w io.Writer, sources bool) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range l.shown() {
		path := strings.Split(s.key, ".")
		group := root
		for _, name := range path[:len(path)-1] {
			group = child(group, name)
		}
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s.text}
		if s.number {
			n.Tag = "!!int"
		}
		if sources {
			n.LineComment = "# " + s.source
		}
		group.Content = append(group.Content, scalar(path[len(path)-1]), n)
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return err
	}
	return e.Close()
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// child is the mapping below a name, made if it is not there.
func child(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	made := &yaml.Node{Kind: yaml.MappingNode}
	n.Content = append(n.Content, scalar(name), made)
	return made
}

// WriteJSON writes the configuration as WriteYAML does; with sources, each value is {"value", "source"}.
func (l Loaded) WriteJSON(w io.Writer, sources bool) error {
	root := map[string]any{}
	for _, s := range l.shown() {
		path := strings.Split(s.key, ".")
		group := root
		for _, name := range path[:len(path)-1] {
			if group[name] == nil {
				group[name] = map[string]any{}
			}
			group, _ = group[name].(map[string]any)
		}
		group[path[len(path)-1]] = s.json(sources)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(root)
}

func (s shownSetting) json(sources bool) any {
	var v any = s.text
	if n, err := strconv.Atoi(s.text); err == nil && s.number {
		v = n
	}
	if sources {
		return map[string]any{"value": v, "source": s.source}
	}
	return v
}
