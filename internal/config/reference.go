package config

import (
	"fmt"
	"strings"
)

const referenceHead = `# Configuration

<!-- Written by a test of internal/config from the table that reads the configuration: go test ./internal/config -update -->

Every setting has a default. What is set later wins: the default, the file, the environment, a flag of the command.

- **File:** YAML, named by ` + "`--config FILE` or `CLEW_CONFIG`" + `. The keys below are paths: ` + "`log.level`" + ` is ` + "`level`" + ` below ` + "`log`" + `.
- **Environment:** the variable beside each key. An empty variable is one that is not set.
- **Secrets** can stand in a file of their own, as container secrets do: add ` + "`File`" + ` to the key or ` + "`_FILE`" + ` to the variable, and name a path that begins with ` + "`/` or `./`" + `. A line break at its end does not count. Secrets are never printed or logged; nor are user and password in an address.
- **Durations** have a unit: ` + "`ms`, `s`, `m`, `h`, `d`, `w`, as in `1h30m` or `90d`" + `. **Sizes** are bytes or have one: ` + "`KiB`, `MiB`, `GiB`, `TiB`" + ` (powers of 1024), ` + "`KB`, `MB`, `GB`, `TB`" + ` (of 1000).
- Relative paths start from the directory in which the command runs.

A key or ` + "`CLEW_…`" + ` variable that is not listed here is an error, as are values out of range and settings that contradict each other; all are told at once, with file and line. Not read are ` + "`CLEW_TEST_…`, `CLEW_BENCH_…`" + ` and what Kubernetes sets for services whose names begin with clew.

A setting of something that is not in use (of Neo4j with the embedded store) is a warning where ` + "`store.kind` or `cache.kind`" + ` is set, and an error where it is not: it was most likely forgotten.

` + "```" + `
clew config check --config clew.yaml              # exit code 0, or 2 and everything that is wrong
clew config print --config clew.yaml --sources    # what holds, and where each value comes from
` + "```" + `
`

// Reference is docs/configuration.md: every setting in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	section := "-"
	for _, f := range Fields() {
		if s := sectionOf(f.Key); s != section {
			section = s
			b.WriteString(sectionHead(s))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", code(f.Key), variables(f), code(f.Default), cell(f.Accepts()), cell(f.Text))
	}
	return b.String()
}

// sectionOf is all of a key but its last name, at most two names.
func sectionOf(key string) string {
	parts := strings.Split(key, ".")
	return strings.Join(parts[:min(len(parts)-1, 2)], ".")
}

func sectionHead(s string) string {
	if s == "" {
		s = "Service"
	}
	return "\n## " + s + "\n\n| key | variable | default | accepts | meaning |\n|---|---|---|---|---|\n"
}

func variables(f Field) string {
	if f.Secret {
		return code(f.Env()) + " or " + code(envName(fileKey(f.Key)))
	}
	return code(f.Env())
}

func code(text string) string {
	if text == "" {
		return "empty"
	}
	return "`" + text + "`"
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
