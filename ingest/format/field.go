package format

import (
	"bytes"
	"encoding/json"
)

// TakeField takes a field out of a JSON object. rest is the object without it, exactly as written but
// compact; field is nil where there is none. The error wraps graph.ErrInvalid.
func TakeField(raw []byte, name string) (rest, field json.RawMessage, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, Invalid("not a JSON object")
	}
	out := []byte{'{'}
	for dec.More() {
		start := dec.InputOffset()
		token, err := dec.Token()
		if err != nil {
			return nil, nil, Invalid("%v", err)
		}
		key := bytes.TrimLeft(raw[start:dec.InputOffset()], ", \t\r\n")
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, nil, Invalid("%v", err)
		}
		if token == name {
			field = v
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), Compact(v)...)
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, Invalid("%v", err)
	}
	return append(out, '}'), field, nil
}

// Compact drops white space from a JSON value that a decoder has accepted.
func Compact(raw []byte) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return json.RawMessage("null")
	}
	return b.Bytes()
}
