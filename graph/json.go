package graph

import (
	"bytes"
	"encoding/json"
)

// EncodeJSON is json.Marshal without HTML escaping: raw source records must come back as they were written.
func EncodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
