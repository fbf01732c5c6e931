// Package mde reads answers of the API of Microsoft Defender for Endpoint: alerts, machines, and what vulnerability
// management knows of their software.
package mde

import "github.com/clew-security/clew/ingest/format"

const formatName = "mde"

// Format is Microsoft Defender for Endpoint's.
var Format = format.Format{Name: formatName, Is: func(f format.Fields) bool { return decoder(f) != nil }, Decode: Decode}

// Decode is the format.Decoder of one item of an answer (learn.microsoft.com, "Supported Microsoft Defender for Endpoint
// APIs"):
//
//   - an alert, its evidence with $expand=evidence;
//   - a machine, also as the short reference to one: a device;
//   - a row that names software or a vulnerability and the machine it is on (software inventory and vulnerabilities by
//     machine, also exported): edges hasSoftware and affects;
//   - software and a vulnerability: what they are. Of which machine an answer is stands in its address alone, so they
//     give no edges.
func Decode(raw []byte) ([]format.Record, error) {
	fields, err := format.FieldsOf(raw)
	if err != nil {
		return nil, err
	}
	if decode := decoder(fields); decode != nil {
		return decode(raw)
	}
	return nil, format.Invalid("neither an alert nor a machine, software or vulnerability of Defender for Endpoint")
}

// decoder is that of what has these fields, nil where it is nothing of this API.
func decoder(f format.Fields) format.Decoder {
	switch {
	case f.Has("alertCreationTime"), f.Has("machineId") && (f.Has("firstEventTime") || f.Has("lastEventTime") || f.Has("evidence")):
		return decodeAlert
	case f.Has("machineId", "cveId"), f.Has("deviceId", "softwareName"), f.Has("DeviceId", "SoftwareName"):
		return decodeFinding
	case f.Has("computerDnsName") && !f.Has("machineId"): // an action names the machine so
		return decodeMachine
	case f.Has("id", "name", "vendor", "weaknesses"):
		return decodeSoftware
	case f.Has("id", "cvssV3"):
		return decodeVulnerability
	}
	return nil
}
