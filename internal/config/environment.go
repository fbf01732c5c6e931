package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// environment adds the variables.
func (l *loader) environment(environ []string) {
	layer := map[string]setting{}
	for _, e := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(e, "=")
		if key := l.variable(name, text); key != "" {
			layer[key] = setting{text, name, envLayer}
		}
	}
	l.put(layer)
}

// variable returns the key of the setting that a variable means, none where it means none.
func (l *loader) variable(name, text string) string {
	key, known := l.names.env[name]
	switch {
	case !strings.HasPrefix(name, Prefix) || text == "" || name == FileVariable || ignored(name, text):
		return ""
	case !known:
		near := nearest(name, slices.Sorted(maps.Keys(l.names.env)))
		l.problem(quoteName(name), "", "", fault{"no such setting" + didYouMean(near), "'clew config print' shows all; take this variable away"})
	}
	return key
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
