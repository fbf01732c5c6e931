package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/internal/config"
)

// rulesKey is the setting that names the file of criticality rules.
const rulesKey = "criticality.rules"

// maxRulesFile bounds it, in bytes.
const maxRulesFile = 1 << 20

// loadWhole loads the configuration and what it names: a wrong rule is a problem as a wrong setting is.
func loadWhole(o config.Options) (config.Loaded, error) {
	loaded, err := config.Load(o)
	if err != nil {
		return loaded, err
	}
	file := loaded.Config.Criticality.Rules
	if _, err := criticalities(file); err != nil {
		return config.Loaded{Warnings: loaded.Warnings}, config.Problems{{Source: loaded.Source(rulesKey), Key: rulesKey,
			Value: strconv.Quote(file), What: "cannot be used (" + err.Error() + ")", Do: "mend it as docs/criticality.md says"}}
	}
	return loaded, nil
}

// criticalities are the grading by the rules in a file; by the predefined alone where it is none.
func criticalities(file string) (graph.Criticalities, error) {
	if file == "" {
		return graph.Criticalities{}, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return graph.Criticalities{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRulesFile+1))
	if err == nil && len(text) > maxRulesFile {
		err = fmt.Errorf("longer than %d bytes", maxRulesFile)
	}
	if err != nil {
		return graph.Criticalities{}, err
	}
	return readCriticalities(text)
}

// readCriticalities reads YAML. A name that no rule has is an error: a misspelt condition would make a rule match
// more.
func readCriticalities(text []byte) (graph.Criticalities, error) {
	var doc, more any
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return graph.Criticalities{}, err
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return graph.Criticalities{}, errors.New("more than one document")
	}
	asJSON, err := json.Marshal(doc)
	if err != nil {
		return graph.Criticalities{}, errors.New("a key is no text")
	}
	var rules struct {
		Rules []graph.CriticalityRule `json:"rules"`
	}
	strict := json.NewDecoder(bytes.NewReader(asJSON))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&rules); err != nil {
		return graph.Criticalities{}, errors.New(format.Reword(err))
	}
	c, err := graph.NewCriticalities(rules.Rules)
	if err != nil {
		return c, errors.New(format.Reword(err))
	}
	return c, nil
}
