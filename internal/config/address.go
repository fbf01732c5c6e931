package config

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$`)

// addressValue takes addresses to listen on.
func addressValue(at *string) value {
	return textValue[string]{at, "HOST:PORT", func(text string) (string, fault) { return text, checkAddress(text) }}
}

func checkAddress(text string) fault {
	host, port, err := net.SplitHostPort(text)
	switch {
	case strings.Contains(text, "://"):
		return fault{"is no address to listen on", "leave the scheme away, as in 127.0.0.1:8080"}
	case err != nil && strings.Trim(text, "0123456789") == "" && text != "":
		return fault{"has no host", "write 127.0.0.1:" + text + ", or :" + text + " for every address of this machine"}
	case err != nil:
		return fault{"is no address to listen on", "write HOST:PORT, such as 127.0.0.1:8080"}
	case host != "" && !isHost(host):
		return fault{"names no host", "write a name or an IP address before the port, as in 127.0.0.1:" + goodPort(port)}
	}
	return checkPort(port)
}

func isHost(host string) bool {
	host, _, _ = strings.Cut(host, "%")
	return net.ParseIP(host) != nil || hostName.MatchString(host)
}

func goodPort(port string) string {
	if checkPort(port).none() {
		return port
	}
	return "8080"
}

func checkPort(port string) fault {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fault{"has no port number", "the part behind the last : must be 0 to 65535"}
	}
	return fault{}
}

// urlText is a textValue whose wrong texts are shown only where no password can stand in them.
type urlText struct{ textValue[string] }

func (v urlText) show(text string) string { return showURL(text) }

// publicURLValue takes the address that users see.
func publicURLValue(at *string) value {
	check := func(text string) (string, fault) {
		u, f := checkURL(text, "https://clew.example.com", "http", "https")
		switch {
		case !f.none():
		case u.User != nil:
			f = fault{"holds a user or password", "leave away what stands before the @"}
		case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			f = fault{"has a query or fragment", "leave away what stands behind the ? or #"}
		}
		return strings.TrimRight(text, "/"), f
	}
	return orWord{urlText{textValue[string]{at, "http:// or https:// URL", check}}, []string{""}}
}

// neo4jSchemes are those of the driver: https://neo4j.com/docs/go-manual/current/connect-advanced/.
var neo4jSchemes = []string{"neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc"}

// neo4jValue takes addresses of Neo4j servers.
func neo4jValue(at *string) value {
	check := func(text string) (string, fault) {
		u, f := checkURL(text, "neo4j://127.0.0.1:7687", neo4jSchemes...)
		switch {
		case !f.none():
		case u.User != nil:
			f = fault{"holds a user or password", "put them into store.neo4j.user and store.neo4j.password"}
		case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			f = fault{"has something behind the port", "write SCHEME://HOST:PORT only; the database goes into store.neo4j.database"}
		}
		return text, f
	}
	return orWord{urlText{textValue[string]{at, "URL: " + strings.Join(neo4jSchemes, ", "), check}}, []string{""}}
}

// redisValue takes addresses of Redis servers.
type redisValue struct{ at *URL }

var redisDatabase = regexp.MustCompile(`^/?[0-9]{0,3}$`)

func (v redisValue) set(text string) fault {
	u, f := checkURL(text, "redis://127.0.0.1:6379/0", "redis", "rediss")
	switch {
	case !f.none():
		return f
	case u.User != nil && strings.Contains(u.User.String(), Redacted):
		return placeholder
	case !redisDatabase.MatchString(u.Path):
		return fault{"names no database", "behind the port may stand its number, as in redis://127.0.0.1:6379/0"}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fault{"has a query or fragment", "leave away what stands behind the ? or #, and write %23 and %3F for these in a password, or use redis.password"}
	}
	*v.at = URL{text}
	return fault{}
}

func (v redisValue) text() string            { return v.at.String() }
func (v redisValue) accepts() string         { return "URL: redis, rediss" }
func (v redisValue) show(text string) string { return showURL(text) }

// checkURL parses an address. Parse's own errors are not passed on: they quote.
func checkURL(text, example string, schemes ...string) (*url.URL, fault) {
	u, err := url.Parse(text)
	known := strings.Join(schemes, ", ")
	switch {
	case !strings.Contains(text, "://"):
		return nil, fault{"has no scheme", "write one of " + known + " and :// before the host, as in " + example}
	case err != nil:
		return nil, fault{"is no address", "write one such as " + example + "; characters like # / ? % @ in a password must be percent-encoded"}
	case !slices.Contains(schemes, u.Scheme):
		return nil, fault{"has an unknown scheme", "use one of " + known + ", as in " + example}
	case !isHost(u.Hostname()):
		return nil, fault{"names no host", "write one such as " + example}
	case u.Port() != "" && (!checkPort(u.Port()).none() || u.Port() == "0"):
		return nil, fault{"has no port number", "behind the host may stand : and 1 to 65535"}
	}
	return u, fault{}
}

// pathValue takes names of files and directories.
func pathValue(at *string, what string) value {
	return textValue[string]{at, what, func(text string) (string, fault) {
		if text == "" {
			return "", fault{"is empty", "name a " + what}
		}
		if strings.Contains(text, "://") {
			return "", fault{"is an address", "name a " + what + " of this machine"}
		}
		return text, fault{}
	}}
}

// caValue takes the name of a file that holds certificates.
func caValue(at *string) value {
	check := func(text string) (string, fault) {
		pem, err := readBounded(text, maxSmallFile)
		if err != nil {
			return "", fault{"cannot be read (" + reason(err) + ")", "name a file of PEM certificates"}
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return "", fault{"holds no certificate", "name a file of PEM certificates, as begins with -----BEGIN CERTIFICATE-----"}
		}
		return text, fault{}
	}
	return orWord{textValue[string]{at, "file", check}, []string{""}}
}

// rulesValue takes the name of a file that can be read.
func rulesValue(at *string) value {
	check := func(text string) (string, fault) {
		if _, err := readBounded(text, maxSmallFile); err != nil {
			return "", fault{"cannot be read (" + reason(err) + ")", "name a file of rules"}
		}
		return text, fault{}
	}
	return orWord{textValue[string]{at, "YAML file", check}, []string{""}}
}

// databaseName is Neo4j's rule: https://neo4j.com/docs/cypher-manual/current/syntax/naming/.
var databaseName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.-]{2,62}$`)

func databaseValue(at *string) value {
	return textValue[string]{at, "name", func(text string) (string, fault) {
		if !databaseName.MatchString(text) {
			return "", fault{"is no database name", "write 3 to 63 letters, digits, dots and dashes, a letter first"}
		}
		return text, fault{}
	}}
}

func userValue(at *string) value {
	return textValue[string]{at, "name", func(text string) (string, fault) {
		if text == "" || len(text) > 256 {
			return "", fault{"is no user name", "write 1 to 256 characters"}
		}
		return text, fault{}
	}}
}

// secretValue takes anything of at least some bytes but what stands for a secret that was not shown; nothing at all
// means that none is set.
type secretValue struct {
	at    *Secret
	least int
}

var placeholder = fault{"stands for a secret that was not shown", "put the secret itself here, or name a file that holds it"}

func (v secretValue) set(text string) fault {
	switch {
	case text == Redacted:
		return placeholder
	case strings.ContainsAny(text, "\x00\r\n"):
		return fault{"holds a line break", "a secret is one line"}
	case text != "" && len(text) < v.least:
		return faultf("write one that nobody can guess, such as 'openssl rand -hex 32' makes", "is shorter than %d bytes", v.least)
	}
	*v.at = Secret{value: text}
	return fault{}
}

func (v secretValue) text() string       { return v.at.String() }
func (v secretValue) show(string) string { return "" }
func (v secretValue) accepts() string {
	if v.least > 0 {
		return fmt.Sprintf("secret, at least %d bytes", v.least)
	}
	return "secret"
}

// Bounds on files that are read whole.
const (
	maxConfigFile = 256 << 10
	maxSmallFile  = 1 << 20
	maxSecretFile = 64 << 10
)

// readSecretFile reads a secret and leaves away the line break at its end. A name that does not look like a path
// is not shown: it may be the secret itself, put into the wrong setting.
func readSecretFile(path string) (string, fault) {
	if !looksLikePath(path) {
		return "", fault{"does not look like a file's path, and may be the secret itself", "write a path that begins with / or ./"}
	}
	b, err := readBounded(path, maxSecretFile)
	if err != nil {
		return "", fault{"cannot be read (" + reason(err) + ")", "name a file that holds the secret and nothing else"}
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" {
		return "", fault{"is empty", "write the secret into this file"}
	}
	return text, fault{}
}

var pathLike = regexp.MustCompile(`^(/|\./|\.\./|[A-Za-z]:[\\/])`)

func looksLikePath(path string) bool { return pathLike.MatchString(path) }

// readBounded reads a regular file or pipe up to a bound.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("longer than %s", formatSize(most))
	}
	return b, err
}
