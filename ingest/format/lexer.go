package format

import "strings"

// lexer follows JSON byte by byte, as far as it takes to find where a value ends.
type lexer struct {
	// stack holds the open brackets.
	stack             []byte
	inString, escaped bool
	// last is the last byte outside strings that is no white space; '"' stands for a whole string.
	last byte
	// startsLine is set by the caller where only a line's end precedes.
	startsLine bool

	// watchPage asks to notice an OData page: "value" with an array, with nothing but @odata. fields before.
	watchPage bool
	// page is set right behind the bracket that opens its array.
	page  bool
	key   []byte
	inKey bool
}

// lexError is a flaw in the structure of JSON.
type lexError struct{ text string }

func (e *lexError) Error() string { return e.text }

// next takes one byte; more is false when the value is whole.
func (l *lexer) next(c byte) (more bool, err error) {
	if l.inString {
		return l.inside(c), nil
	}
	switch c {
	case ' ', '\t', '\r', '\n':
		return true, nil
	case '"':
		l.inString = true
		l.inKey = l.watchPage && len(l.stack) == 1 && (l.last == '{' || l.last == ',')
		l.key = l.key[:0]
	case '{', '[':
		if err := l.push(c); err != nil {
			return false, err
		}
	case '}', ']':
		if len(l.stack) == 0 || l.stack[len(l.stack)-1] != c-2 { // '{'+2 is '}', '['+2 is ']'
			return false, &lexError{"invalid JSON: a closing " + string(c) + " that nothing opened"}
		}
		l.stack = l.stack[:len(l.stack)-1]
	}
	l.last = c
	return l.inString || len(l.stack) > 0, nil
}

// inside takes one byte of a string; more is false at the end of a string that is the whole value.
func (l *lexer) inside(c byte) (more bool) {
	switch {
	case l.escaped:
		l.escaped = false
	case c == '\\':
		l.escaped = true
	case c == '"':
		l.inString = false
		l.endKey()
		return len(l.stack) > 0
	}
	if l.inKey && len(l.key) < 64 {
		l.key = append(l.key, c)
	}
	return true
}

// endKey stops watching for a page at a field that no page has before its records.
func (l *lexer) endKey() {
	if l.inKey && string(l.key) != "value" && !strings.HasPrefix(string(l.key), "@odata.") {
		l.watchPage = false
	}
	l.inKey = false
}

func (l *lexer) push(c byte) error {
	if len(l.stack) >= MaxDepth {
		return &lexError{"nested deeper than 1000 levels"}
	}
	l.page = l.watchPage && c == '[' && len(l.stack) == 1 && l.last == ':' && string(l.key) == "value"
	l.stack = append(l.stack, c)
	return nil
}

// misplaced reports whether no object can start here.
func (l *lexer) misplaced() bool {
	if l.inString || len(l.stack) == 0 {
		return false
	}
	if l.stack[len(l.stack)-1] == '{' {
		return l.last != ':'
	}
	return l.last != '[' && l.last != ','
}
