package story

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
)

// maxValue is how many characters of one value a sentence shows.
const maxValue = 120

// clean makes a text that an attacker may have chosen (file names, subjects, display names) fit for a line on
// a terminal or page: no control, format, bidirectional or line-separating characters, single spaces, valid
// UTF-8, at most maxValue characters.
func clean(s string) string { return cut(tidy(s), maxValue) }

func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.Z, r):
			return ' '
		case unicode.Is(unicode.C, r) || blank(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}

// blank reports characters that are letters or symbols to Unicode but show as nothing.
func blank(r rune) bool {
	switch r {
	case '\u034F', '\u115F', '\u1160', '\u17B4', '\u17B5', '\u2800', '\u3164', '\uFFA0':
		return true
	}
	return unicode.Is(unicode.Variation_Selector, r)
}

// cut keeps at most n characters, the last an ellipsis where something went.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}

// plainKinds are named by the organisation or a directory: their names go into a sentence bare.
var plainKinds = map[graph.Kind]bool{
	graph.KindDevice: true, graph.KindIdentity: true, graph.KindMailbox: true, graph.KindSecurityGroup: true,
	graph.KindCloudApplication: true, graph.KindCloudResource: true,
}

// quoted puts a value that could be read as part of the sentence between quotation marks; ones of its own
// become plain, so that nothing in it can close them.
func quoted(kind graph.Kind, s string) string {
	if plainKinds[kind] || !strings.ContainsAny(s, " \"“”„‟") {
		return s
	}
	return quote(s)
}

func quote(s string) string {
	return "“" + strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‟", `"`).Replace(s) + "”"
}

// list joins names: "a", "a and b", "a and 3 others".
func list(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	case 2:
		return names[0] + " and " + names[1]
	}
	return fmt.Sprintf("%s and %d others", names[0], len(names)-1)
}

// Clean makes one line of a text that an attacker may have chosen fit for a terminal or page; see clean.
func Clean(s string) string { return tidy(s) }
