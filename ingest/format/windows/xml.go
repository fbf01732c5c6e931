package windows

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/clew-security/clew/ingest/format"
)

// readXML reads an event, or its EventData alone (schemas.microsoft.com/win/2004/08/events/event). System has its fields
// under the names of Winlogbeat's rows, data those of EventData; of two of one name the first counts. An ampersand stands
// for itself where no entity of XML's own follows: Sysmon for Linux writes such. A document type is an error.
//
// Of an event that ends in the middle, as syslog cuts long ones, the fields before are given with errCut.
func readXML(text string) (system, data format.Object, err error) {
	r := xmlReader{system: format.Object{}, data: format.Object{}}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Strict = false
	for {
		token, err := dec.Token()
		var syntax *xml.SyntaxError
		switch {
		case errors.Is(err, io.EOF):
			return r.system, r.data, r.end()
		case errors.As(err, &syntax) && syntax.Msg == "unexpected EOF":
			return r.system, r.data, errCut
		case err != nil:
			return nil, nil, format.Invalid("%v", err)
		}
		if err := r.take(token); err != nil {
			return nil, nil, err
		}
	}
}

var errCut = format.Invalid("XML that ends in the middle")

// xmlReader is where in an event the reading is.
type xmlReader struct {
	system, data format.Object
	elements     int
	inSystem     bool
	// into and name are where the text at hand goes, if anywhere.
	into format.Object
	name string
	text strings.Builder
}

func (r *xmlReader) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		r.elements++
		r.start(t)
	case xml.CharData:
		if r.into != nil {
			r.text.Write(t)
		}
	case xml.EndElement:
		r.keep(r.text.String())
		r.inSystem = r.inSystem && t.Name.Local != "System"
	case xml.Directive:
		return format.Invalid("XML with a document type")
	}
	return nil
}

// start finds out where what stands in an element belongs.
func (r *xmlReader) start(t xml.StartElement) {
	r.into, r.name = nil, t.Name.Local
	r.text.Reset()
	switch {
	case r.name == "System":
		r.inSystem = true
	case r.name == "Data":
		r.into, r.name = r.data, attribute(t, "Name")
	case r.inSystem && r.name == "Provider":
		r.into = r.system
		r.keep(attribute(t, "Name"))
	case r.inSystem && r.name == "TimeCreated":
		r.into = r.system
		r.keep(attribute(t, "SystemTime"))
	case r.inSystem:
		r.into = r.system
	}
}

// keep ends a field.
func (r *xmlReader) keep(text string) {
	if r.into != nil && r.name != "" && r.into[r.name] == nil {
		r.into[r.name] = text
	}
	r.into = nil
}

func (r *xmlReader) end() error {
	if r.elements == 0 {
		return format.Invalid("XML without an element")
	}
	return nil
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
