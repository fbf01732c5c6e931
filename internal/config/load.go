package config

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Options say where a configuration is read from. The later of these wins: defaults, the file, the environment,
// overrides.
type Options struct {
	// File is a YAML file; empty means the one that CLEW_CONFIG names, if it is set.
	File string
	// Environ is the environment, as NAME=VALUE; nil means the process's.
	Environ []string
	// Overrides are what flags say.
	Overrides []Override
}

// Override is a setting that a flag of the command line says.
type Override struct {
	Key, Value string
	// Flag as it is written, such as --listen.
	Flag string
}

// Loaded is a configuration and where each of its settings comes from.
type Loaded struct {
	Config Config
	// Warnings are settings that have no effect.
	Warnings Problems

	source map[string]string
}

// Source says where a setting's value comes from: FILE:LINE, the name of a variable or flag, or "default".
func (l Loaded) Source(key string) string { return l.source[key] }

// setting is a text and where it stands.
type setting struct {
	text, source string
	// layer is higher where it wins.
	layer int
}

const fromDefault = "default"

// layers in the order in which they win.
const (
	defaultLayer = iota
	fileLayer
	envLayer
	flagLayer
)

// Load reads and checks a configuration. The error is Problems: all of them, in the order of the sources; neither
// it nor Warnings hold a secret. Variables CLEW_TEST_…, CLEW_BENCH_… and those that Kubernetes sets for services
// are not read; an empty variable is one that is not set.
func Load(o Options) (Loaded, error) {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	l := loader{names: knownNames(), settings: map[string]setting{}}
	l.defaults()
	l.file(cmp.Or(o.File, lookup(o.Environ, FileVariable)))
	l.environment(o.Environ)
	l.overrides(o.Overrides)
	out := Loaded{source: map[string]string{}}
	bad := map[string]bool{}
	for _, f := range Fields() {
		s := l.chosen(f)
		out.source[f.Key] = s.source
		bad[f.Key] = !l.apply(f, s, &out.Config)
	}
	l.rules(&out, bad)
	if len(l.problems) > 0 {
		l.problems.sort()
		return Loaded{Warnings: out.Warnings}, l.problems
	}
	return out, nil
}

// loader gathers settings and problems.
type loader struct {
	names    names
	settings map[string]setting
	problems Problems
}

func (l *loader) problem(source, key, value string, f fault) {
	l.problems = append(l.problems, Problem{source, key, value, f.what, f.do})
}

// put adds a layer, which wins over those before it. A secret and the file that holds it exclude each other.
func (l *loader) put(layer map[string]setting) {
	for key, f := range l.names.settings {
		direct, both := layer[key]
		file, two := layer[fileKey(key)]
		if f.Secret && both && two {
			l.problem(direct.source, key, "", fault{"is set, and so is " + fileKey(key) + " (" + file.source + ")", "keep one of the two"})
		}
	}
	maps.Copy(l.settings, layer)
}

func (l *loader) defaults() {
	layer := map[string]setting{}
	for _, f := range Fields() {
		layer[f.Key] = setting{f.Default, fromDefault, defaultLayer}
	}
	l.put(layer)
}

// overrides of settings that do not exist are an error of the program, told like any other.
func (l *loader) overrides(all []Override) {
	layer := map[string]setting{}
	for _, o := range all {
		if _, known := l.names.settings[o.Key]; !known {
			l.problem(o.Flag, o.Key, "", fault{"is no setting", ""})
			continue
		}
		layer[o.Key] = setting{o.Value, o.Flag, flagLayer}
	}
	l.put(layer)
}

// chosen returns what was said last about a field, after reading it from a file where it is in one.
func (l *loader) chosen(f Field) chosen {
	direct := l.settings[f.Key]
	file, in := l.settings[fileKey(f.Key)]
	if !f.Secret || !in || file.layer <= direct.layer {
		return chosen{setting: direct}
	}
	return chosen{setting: file, isFile: true}
}

type chosen struct {
	setting
	isFile bool
}

// apply sets the field and reports whether it could.
func (l *loader) apply(f Field, s chosen, c *Config) bool {
	if s.isFile {
		return l.applyFile(f, s.setting, c)
	}
	v := f.at(c)
	wrong := checkText(f, s.text)
	if wrong.none() {
		wrong = v.set(s.text)
	}
	if !wrong.none() {
		l.problem(s.source, f.Key, v.show(s.text), wrong)
	}
	return wrong.none()
}

func (l *loader) applyFile(f Field, s setting, c *Config) bool {
	text, wrong := readSecretFile(s.text)
	v := f.at(c)
	if wrong.none() {
		wrong = v.set(text)
	}
	if !wrong.none() {
		shown := ""
		if looksLikePath(s.text) {
			shown = quote(s.text)
		}
		l.problem(s.source, fileKey(f.Key), shown, wrong)
		return false
	}
	if v, ok := v.(secretValue); ok {
		v.at.file = s.text
	}
	return true
}

// checkText refuses what cannot be written in a line.
func checkText(f Field, text string) fault {
	if f.Secret || utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl) && len(text) <= maxText {
		return fault{}
	}
	return fault{"is too long or holds characters that cannot be written in a line", "look for tabs, line breaks and what an editor does not show"}
}

// maxText bounds a value that is no secret.
const maxText = 4096

func lookup(environ []string, name string) string {
	for _, e := range slices.Backward(environ) {
		if v, found := strings.CutPrefix(e, name+"="); found {
			return v
		}
	}
	return ""
}
