package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
)

// environment adds the variables.
func (l *loader) environment(environ []string) {
	layer := map[string]any{}
	provider := env.Provider("", env.Opt{
		Prefix:        Prefix,
		EnvironFunc:   func() []string { return slices.Sorted(slices.Values(environ)) },
		TransformFunc: func(name, text string) (string, any) { return l.variable(name, text) },
	})
	found, err := provider.Read()
	if err != nil {
		l.problem("", "", "", fault{"the environment cannot be read", ""})
	}
	maps.Copy(layer, found)
	l.put(layer)
}

// variable returns the key and setting that a variable means, no key where it means none.
func (l *loader) variable(name, text string) (string, any) {
	key, known := l.names.env[name]
	switch {
	case text == "" || name == FileVariable || ignored(name, text):
		return "", nil
	case !known:
		near := nearest(name, slices.Sorted(maps.Keys(l.names.env)))
		l.problem(quoteName(name), "", "", fault{"no such setting" + didYouMean(near), "'clew config print' shows all; take this variable away"})
		return "", nil
	}
	return key, setting{text, name, envLayer}
}

// serviceVariable is what Kubernetes sets in every container for a service whose name begins with clew:
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
var serviceVariable = regexp.MustCompile(`^CLEW_(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

var servicePort = regexp.MustCompile(`^(tcp|udp|sctp)://`)

// ignored reports whether a variable is not meant for this program.
func ignored(name, text string) bool {
	return strings.HasPrefix(name, Prefix+"TEST_") || strings.HasPrefix(name, Prefix+"BENCH_") ||
		serviceVariable.MatchString(name) || strings.HasSuffix(name, "_PORT") && servicePort.MatchString(text)
}
