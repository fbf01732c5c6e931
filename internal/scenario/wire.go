package scenario

import (
	"bytes"
	"encoding/json"
)

// compact is JSON on one line, with <, > and & as the products write them.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// lines is one JSON value a line.
func lines[T any](rows []T) ([]byte, error) {
	var b bytes.Buffer
	for _, r := range rows {
		line, err := compact(r)
		if err != nil {
			return nil, err
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes(), nil
}
