package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// file adds the YAML file. It is read as a tree of nodes, not as values: only so do a password such as 0123 keep its
// text and errors their line.
func (l *loader) file(path string) {
	if path == "" {
		return
	}
	data, err := readBounded(path, maxConfigFile)
	if err != nil {
		l.problem(printable(path), "", "", fault{"cannot be read (" + reason(err) + ")", "name a YAML file with --config or " + FileVariable})
		return
	}
	r := fileReader{loader: l, path: printable(path), layer: map[string]setting{}, line: map[string]int{}}
	r.read(data)
	l.put(r.layer)
}

// printable is a file's name in one line.
func printable(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(path)
	}
	return path
}

// reason is an error's cause without the name of the file.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err.Error()
}

type fileReader struct {
	*loader
	path  string
	layer map[string]setting
	line  map[string]int // where a key stood first
}

func (r *fileReader) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.path, n.Line) }

func (r *fileReader) read(data []byte) {
	d := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file sets nothing
			r.syntax(err)
		}
		return
	}
	root := doc.Content[0]
	switch {
	case root.Kind == yaml.MappingNode:
		r.group("", root)
	case !isNull(root):
		r.problem(r.at(root), "", "", fault{"is no list of settings", "write KEY: VALUE lines, as 'clew config print' does"})
	}
	if err := d.Decode(&more); err == nil {
		r.problem(r.at(&more), "", "", fault{"begins a second document", "take away the line --- before it"})
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
}

var (
	syntaxLine = regexp.MustCompile(`line ([0-9]+): `)
	longQuote  = regexp.MustCompile(`['"\x60][^'"\x60]{3,}['"\x60]`)
)

// syntax tells the parser's error without what it quotes.
func (r *fileReader) syntax(err error) {
	text, at := strings.TrimPrefix(err.Error(), "yaml: "), r.path
	if line := syntaxLine.FindStringSubmatch(text); line != nil {
		text, at = strings.Replace(text, line[0], "", 1), at+":"+line[1]
	}
	if strings.Contains(text, "anchor") {
		text = "a value begins with *"
	}
	r.problem(at, "", "", fault{"is no YAML (" + longQuote.ReplaceAllString(text, "…") + ")",
		"look at the indentation, and put values with special characters into 'single quotes'"})
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// group reads a mapping whose keys begin with prefix.
func (r *fileReader) group(prefix string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode {
			r.problem(r.at(name), strings.TrimSuffix(prefix, "."), "", fault{"has a key that is no name", "write KEY: VALUE"})
			continue
		}
		if n.Style&yaml.FlowStyle != 0 && value.Value == "" && isNull(value) {
			r.problem(r.at(name), strings.TrimSuffix(prefix, "."), "", fault{"has a name without a value, which may be part of a password", "put values with a comma into 'single quotes'"})
			continue
		}
		r.entry(prefix+name.Value, name, value)
	}
}

func (r *fileReader) entry(key string, name, value *yaml.Node) {
	_, isSetting := r.names.settings[key]
	isSetting = isSetting && !strings.Contains(name.Value, ".")
	isGroup := r.names.groups[key] && !strings.Contains(name.Value, ".")
	switch first, again := r.line[key]; {
	case !isSetting && !isGroup:
		r.unknown(key, name)
	case again:
		r.problem(r.at(name), key, "", faultf("keep one", "is here again, and was in line %d", first))
	case isSetting:
		r.setting(key, value)
	case value.Kind == yaml.MappingNode:
		r.group(key+".", value)
	case !isNull(value):
		r.problem(r.at(value), key, "", fault{"is a group of settings", "write them indented below it"})
	}
	r.line[key] = name.Line
}

// setting reads a value as it is written.
func (r *fileReader) setting(key string, n *yaml.Node) {
	wrong := fault{}
	switch {
	case n.Kind == yaml.AliasNode:
		wrong = fault{"begins with *, an alias", "write the value out, or put it into 'single quotes'"}
	case n.Kind != yaml.ScalarNode:
		wrong = fault{"must be one value", "write it behind the colon; put it into 'single quotes' if it begins with { or ["}
	case n.Anchor != "" || !strings.HasPrefix(n.ShortTag(), "!!") || n.Style&yaml.TaggedStyle != 0:
		wrong = fault{"begins with & or !", "put it into 'single quotes'"}
	case isNull(n):
		wrong = fault{"has no value", `take the line away, or write "" for an empty value; put it into 'single quotes' if it begins with #`}
	}
	if !wrong.none() {
		r.problem(r.at(n), key, "", wrong)
		return
	}
	r.layer[key] = setting{n.Value, r.at(n), fileLayer}
}

// unknown tells of a key that is none. What stands below it is left out.
func (r *fileReader) unknown(key string, name *yaml.Node) {
	if r.names.groups[key] || r.names.settings[key].Key != "" {
		r.problem(r.at(name), key, "", fault{"has a dot in a name", "write the groups one below the other, indented"})
		return
	}
	known := slices.Concat(slices.Sorted(maps.Keys(r.names.settings)), slices.Sorted(maps.Keys(r.names.groups)))
	r.problem(r.at(name), quoteName(key), "", fault{"no such setting" + didYouMean(nearest(key, known)), "'clew config print' shows all"})
}

// quoteName shows a wrong name as it is where that is harmless.
func quoteName(name string) string {
	if len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return name
	}
	return quote(name)
}
