package config

import (
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// value is one field of a Config as text.
type value interface {
	// set reads the text. It is called at most once, on a zero field.
	set(text string) fault
	// text is the canonical text that set reads back as the same; of a secret it is redacted.
	text() string
	// accepts says in a few words what set takes.
	accepts() string
	// show is what may be shown of a text that set did not take.
	show(text string) string
}

// textValue takes texts that a check lets pass.
type textValue[T ~string] struct {
	at    *T
	what  string
	check func(string) (string, fault)
}

func (v textValue[T]) set(text string) fault {
	text, f := v.check(text)
	if f.none() {
		*v.at = T(text)
	}
	return f
}

func (v textValue[T]) text() string            { return string(*v.at) }
func (v textValue[T]) accepts() string         { return v.what }
func (v textValue[T]) show(text string) string { return show(text) }

// oneOf takes one of some words.
func oneOf[T ~string](at *T, words ...T) value {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	return textValue[T]{at, strings.Join(names, ", "), func(text string) (string, fault) {
		for _, n := range names {
			if n == text {
				return text, fault{}
			}
		}
		return "", fault{"is not known", "use " + strings.Join(names, ", ")}
	}}
}

// levelValue takes the names of log levels.
type levelValue struct{ at *slog.Level }

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func (v levelValue) set(text string) fault {
	name := ""
	f := oneOf(&name, "debug", "info", "warn", "error").set(text)
	*v.at = levels[name]
	return f
}

func (v levelValue) text() string            { return strings.ToLower(v.at.String()) }
func (v levelValue) accepts() string         { return "debug, info, warn, error" }
func (v levelValue) show(text string) string { return show(text) }

// numberValue takes whole numbers between two bounds, both included.
type numberValue struct {
	at          *int
	least, most int
}

func (v numberValue) set(text string) fault {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil && strings.Trim(text, "0123456789") != "":
		return faultf(v.accepts(), "is no whole number")
	case err != nil || n < v.least || n > v.most:
		return outOfRange(v.least, v.most)
	}
	*v.at = n
	return fault{}
}

func (v numberValue) text() string            { return strconv.Itoa(*v.at) }
func (v numberValue) accepts() string         { return fmt.Sprintf("%d to %d", v.least, v.most) }
func (v numberValue) show(text string) string { return show(text) }

func outOfRange(least, most any) fault {
	return faultf(fmt.Sprintf("%v to %v", least, most), "is out of range")
}

// durationValue takes durations with a unit between two bounds, both included. Zero is always written "0s".
type durationValue struct {
	at          *time.Duration
	least, most time.Duration
}

const day = 24 * time.Hour

func (v durationValue) set(text string) fault {
	d, f := parseDuration(text)
	switch {
	case !f.none():
		return f
	case d < v.least || d > v.most:
		return outOfRange(formatDuration(v.least), formatDuration(v.most))
	}
	*v.at = d
	return fault{}
}

func (v durationValue) text() string { return formatDuration(*v.at) }
func (v durationValue) accepts() string {
	return formatDuration(v.least) + " to " + formatDuration(v.most)
}
func (v durationValue) show(text string) string { return show(text) }

var (
	duration = regexp.MustCompile(`^(?:([0-9]{1,6})w)?(?:([0-9]{1,6})d)?((?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))*)$`)
	digits   = regexp.MustCompile(`^[+-]?[0-9.]+$`)
)

// parseDuration reads what time.ParseDuration does, with weeks and days before it, and without a sign.
func parseDuration(text string) (time.Duration, fault) {
	part := duration.FindStringSubmatch(text)
	switch {
	case text != "" && part != nil:
	case digits.MatchString(text):
		return 0, fault{"has no unit", "write " + strings.TrimLeft(text, "+-") + "s for seconds, or one of ms, s, m, h, d, w"}
	default:
		return 0, fault{"is no duration", "write a number and a unit (ms, s, m, h, d, w), such as 30s, 1h30m or 90d"}
	}
	weeks, _ := strconv.Atoi("0" + part[1])
	days, _ := strconv.Atoi("0" + part[2])
	var rest time.Duration
	var err error
	if part[3] != "" {
		rest, err = time.ParseDuration(part[3])
	}
	if days += 7 * weeks; err != nil || time.Duration(days) > (math.MaxInt64-rest)/day {
		return 0, fault{"is too long", "write less than 290 years"}
	}
	return time.Duration(days)*day + rest, fault{}
}

// formatDuration writes what parseDuration reads, in days where there are some.
func formatDuration(d time.Duration) string {
	days, rest := d/day, d%day
	text := rest.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	switch {
	case days == 0:
		return text
	case rest == 0:
		return fmt.Sprintf("%dd", days)
	}
	return fmt.Sprintf("%dd%s", days, text)
}

// sizeValue takes sizes in bytes between two bounds, both included.
type sizeValue struct {
	at          *int64
	least, most int64
}

// Units of size, as IEC 80000-13 and the SI have them.
const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	tib = 1 << 40
)

var units = map[string]int64{
	"": 1, "b": 1, "kib": kib, "mib": mib, "gib": gib, "tib": tib, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
}

var size = regexp.MustCompile(`^([0-9]+) ?([A-Za-z]*)$`)

func (v sizeValue) set(text string) fault {
	part := size.FindStringSubmatch(text)
	if part == nil {
		return fault{"is no size", "write a whole number and a unit (KiB, MiB, GiB), such as 64MiB"}
	}
	unit, known := units[strings.ToLower(part[2])]
	if !known {
		return fault{"has an unknown unit", "use one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"}
	}
	n, err := strconv.ParseInt(part[1], 10, 64)
	if err != nil || n > v.most/unit || n*unit < v.least {
		return outOfRange(formatSize(v.least), formatSize(v.most))
	}
	*v.at = n * unit
	return fault{}
}

func (v sizeValue) text() string            { return formatSize(*v.at) }
func (v sizeValue) accepts() string         { return formatSize(v.least) + " to " + formatSize(v.most) }
func (v sizeValue) show(text string) string { return show(text) }

// formatSize writes what sizeValue reads, in the largest unit that divides it.
func formatSize(n int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if by := units[strings.ToLower(unit)]; n != 0 && n%by == 0 {
			return fmt.Sprintf("%d%s", n/by, unit)
		}
	}
	return strconv.FormatInt(n, 10)
}

// orWord takes words for the zero value beside what value takes; the first is the canonical one.
type orWord struct {
	value
	words []string
}

func (v orWord) set(text string) fault {
	for _, w := range v.words {
		if text == w {
			return fault{}
		}
	}
	f := v.value.set(text)
	if !f.none() && v.words[0] != "" {
		f.do += ", or " + strconv.Quote(v.words[0])
	}
	return f
}

func (v orWord) text() string {
	if t := v.value.text(); t != "" && t != "0s" {
		return t
	}
	return v.words[0]
}

func (v orWord) accepts() string {
	if v.words[0] == "" {
		return v.value.accepts() + "; or empty"
	}
	return v.value.accepts() + ", or " + v.words[0]
}
