package graph

import "unicode/utf8"

// validJSON reports whether v is one JSON value (RFC 8259) in UTF-8, as json.Valid and utf8.Valid would, and how deep it
// nests; too deep where that is more than most. A commit asks it of everything that a source wrote.
func validJSON(v []byte, most int) (depth int, ok bool) {
	c := jsonCheck{text: v, most: most}
	c.space()
	if !c.value(0) {
		return c.depth, false
	}
	c.space()
	return c.depth, c.at == len(v) && (!c.beyondASCII || utf8.Valid(v))
}

// jsonCheck reads JSON from at on. Its methods report whether they read what they are named after.
type jsonCheck struct {
	text        []byte
	at          int
	depth, most int
	beyondASCII bool
}

func (c *jsonCheck) space() {
	for c.at < len(c.text) && (c.text[c.at] == ' ' || c.text[c.at] == '\n' || c.text[c.at] == '\t' || c.text[c.at] == '\r') {
		c.at++
	}
}

// next takes one byte if it is the one.
func (c *jsonCheck) next(b byte) bool {
	if c.at < len(c.text) && c.text[c.at] == b {
		c.at++
		return true
	}
	return false
}

func (c *jsonCheck) value(depth int) bool {
	if c.at == len(c.text) {
		return false
	}
	switch c.text[c.at] {
	case '{':
		return c.list(depth+1, '}')
	case '[':
		return c.list(depth+1, ']')
	case '"':
		return c.string()
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return c.word("null")
	}
	return c.number()
}

// list reads what is between brackets: fields, or values. It goes no deeper than most.
func (c *jsonCheck) list(depth int, end byte) bool {
	if c.depth = max(c.depth, depth); depth > c.most {
		return false
	}
	c.at++
	if c.space(); c.next(end) {
		return true
	}
	for {
		c.space()
		if end == '}' && !c.name() || !c.value(depth) {
			return false
		}
		c.space()
		switch {
		case c.next(end):
			return true
		case !c.next(','):
			return false
		}
	}
}

// name reads a field's, and what stands before its value.
func (c *jsonCheck) name() bool {
	if !c.string() {
		return false
	}
	c.space()
	if !c.next(':') {
		return false
	}
	c.space()
	return true
}

func (c *jsonCheck) string() bool {
	if !c.next('"') {
		return false
	}
	for c.at < len(c.text) {
		b := c.text[c.at]
		c.at++
		switch {
		case b == '"':
			return true
		case b == '\\':
			if !c.escape() {
				return false
			}
		case b < ' ':
			return false
		case b >= utf8.RuneSelf:
			c.beyondASCII = true
		}
	}
	return false
}

// escape reads what follows a backslash.
func (c *jsonCheck) escape() bool {
	if c.at == len(c.text) {
		return false
	}
	b := c.text[c.at]
	c.at++
	switch b {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if c.at == len(c.text) || !isHex(c.text[c.at]) {
				return false
			}
			c.at++
		}
		return true
	}
	return false
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

func (c *jsonCheck) word(w string) bool {
	if len(c.text)-c.at < len(w) || string(c.text[c.at:c.at+len(w)]) != w {
		return false
	}
	c.at += len(w)
	return true
}

func (c *jsonCheck) number() bool {
	c.next('-')
	if !c.next('0') && !c.digits() {
		return false
	}
	if c.next('.') && !c.digits() {
		return false
	}
	if c.next('e') || c.next('E') {
		if !c.next('+') {
			c.next('-')
		}
		return c.digits()
	}
	return true
}

// digits reads one or more.
func (c *jsonCheck) digits() bool {
	from := c.at
	for c.at < len(c.text) && '0' <= c.text[c.at] && c.text[c.at] <= '9' {
		c.at++
	}
	return c.at > from
}
