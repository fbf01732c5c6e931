package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
)

// Redacted is what stands for a secret wherever it would be shown. It is refused as a value.
const Redacted = "REDACTED"

// Secret is a password. No way of printing it shows it.
type Secret struct{ value, file string }

// NewSecret makes a secret of its text.
func NewSecret(text string) Secret { return Secret{value: text} }

// Reveal returns the secret itself; empty where none is set.
func (s Secret) Reveal() string { return s.value }

// String is Redacted, or empty where no secret is set.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return Redacted
}

// Format keeps every verb from looking inside.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL is an address that may hold a user and a password, which no way of printing it shows.
type URL struct{ raw string }

// Reveal returns the whole address.
func (u URL) Reveal() string { return u.raw }

// String is the address with user and password redacted.
func (u URL) String() string {
	parsed, err := url.Parse(u.raw)
	if err != nil {
		return Redacted
	}
	if parsed.User != nil {
		parsed.User = url.User(Redacted)
	}
	return parsed.String()
}

func (u URL) hasPassword() bool {
	parsed, err := url.Parse(u.raw)
	if err != nil || parsed.User == nil {
		return false
	}
	_, has := parsed.User.Password()
	return has
}

// Format keeps every verb from looking inside.
func (u URL) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.String()) }

// LogValue implements slog.LogValuer.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON too.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// harmlessURL has no place where a password could stand, not even a misplaced one.
var harmlessURL = regexp.MustCompile(`^[a-z][a-z0-9+]{0,9}://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[0-9]{0,3})?$`)

// showURL returns what of a wrong address may be shown: a password with a / or # in it stands anywhere.
func showURL(text string) string {
	if harmlessURL.MatchString(text) {
		return quote(text)
	}
	scheme, _, found := strings.Cut(text, "://")
	if found && harmlessURL.MatchString(scheme+"://x") {
		return scheme + "://" + Redacted
	}
	return ""
}

// show returns what may be shown of a wrong value that is neither secret nor meant to be an address.
func show(text string) string {
	if user, _, found := strings.Cut(text, "@"); found && strings.Contains(user, ":") {
		return showURL(text)
	}
	return quote(text)
}

// quote shows a text in one line of bounded length.
func quote(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
