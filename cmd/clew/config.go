package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/internal/config"
)

func configCommand(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check the configuration, or print what holds",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(configCheckCommand(s), configPrintCommand(s))
	return c
}

type configOptions struct {
	file, output string
	sources      bool
}

// checkOutput refuses a form of output that no command has.
func checkOutput(form string) error {
	if form != "text" && form != "json" {
		return usageError{fmt.Errorf("-o %q: use text or json", form)}
	}
	return nil
}

func configCheckCommand(s streams) *cobra.Command {
	var o configOptions
	c := &cobra.Command{
		Use:   "check [--config FILE]",
		Short: "Tell everything that is wrong with the configuration",
		Long: "Read the configuration as the service would (defaults, the file, CLEW_… variables, files of secrets, rules) and tell\n" +
			"everything that is wrong, with file and line. Nothing is connected to.\n\n" +
			"The exit code is 0 where it can be used, and 2 where it cannot.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return checkConfig(s, o) },
	}
	configFlag(c, &o.file)
	c.Flags().StringVarP(&o.output, "output", "o", "text", "how to tell: text or json")
	return c
}

func configPrintCommand(s streams) *cobra.Command {
	var o configOptions
	c := &cobra.Command{
		Use:   "print [--config FILE] [--sources]",
		Short: "Print the configuration that holds, without secrets",
		Long: "Print the configuration that holds (defaults, the file, CLEW_… variables) as a file that can be read again.\n" +
			"A secret that was read from a file is printed as that file's name, any other as " + config.Redacted + ".",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return printConfig(s, o) },
	}
	configFlag(c, &o.file)
	c.Flags().StringVarP(&o.output, "output", "o", "text", "how to print: text (YAML) or json")
	c.Flags().BoolVar(&o.sources, "sources", false, "say where each value comes from")
	return c
}

// configFlag gives a command the flag that names the configuration file.
func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "configuration file (default: the one that "+config.FileVariable+" names)")
}

// changedFlags are the settings that were given as flags; keys maps a flag's name to the setting's key.
func changedFlags(c *cobra.Command, keys map[string]string) []config.Override {
	var out []config.Override
	for name, key := range keys {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			out = append(out, config.Override{Key: key, Value: f.Value.String(), Flag: "--" + name})
		}
	}
	return out
}

// loadConfig reads the configuration and tells on standard error everything that is wrong with it, or has no
// effect. The error is one of usage.
func loadConfig(s streams, file string, flags ...config.Override) (config.Loaded, error) {
	loaded, err := loadWhole(config.Options{File: file, Overrides: flags})
	for _, w := range loaded.Warnings {
		fmt.Fprintf(s.err, "warning: %s\n", plain(w.String()))
	}
	var problems config.Problems
	if !errors.As(err, &problems) {
		return loaded, err
	}
	for _, p := range problems {
		fmt.Fprintln(s.err, plain(p.String()))
	}
	return loaded, usageError{fmt.Errorf("the configuration cannot be used: %s", counted(len(problems), "problem"))}
}

func checkConfig(s streams, o configOptions) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	if o.output == "json" {
		return checkConfigJSON(s, o.file)
	}
	if _, err := loadConfig(s, o.file); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "ok")
	return err
}

// checked is the answer of config check -o json.
type checked struct {
	OK       bool            `json:"ok"`
	Problems config.Problems `json:"problems"`
	Warnings config.Problems `json:"warnings"`
}

func checkConfigJSON(s streams, file string) error {
	loaded, err := loadWhole(config.Options{File: file})
	answer := checked{OK: err == nil, Problems: config.Problems{}, Warnings: append(config.Problems{}, loaded.Warnings...)}
	if errors.As(err, &answer.Problems) {
		err = usageError{fmt.Errorf("the configuration cannot be used: %s", counted(len(answer.Problems), "problem"))}
	}
	return errors.Join(encodeJSON(s.out, answer), err)
}

func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printConfig(s streams, o configOptions) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	loaded, err := loadConfig(s, o.file)
	switch {
	case err != nil:
		return err
	case o.output == "json":
		return loaded.WriteJSON(s.out, o.sources)
	}
	return loaded.WriteYAML(s.out, o.sources)
}
