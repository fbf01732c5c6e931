package config

import (
	"net"
	"strings"
)

// rule is something that settings must fulfil together. It is not asked where one of them is wrong by itself.
type rule struct {
	key, other string
	check      func(Config) fault
}

func allRules() []rule {
	return []rule{
		{"store.neo4j.uri", "store.kind", func(c Config) fault {
			return missing(c.Store.Kind == StoreNeo4j && c.Store.Neo4j.URI == "", "store.kind is neo4j", "set it, such as neo4j://127.0.0.1:7687")
		}},
		{"store.neo4j.password", "store.kind", func(c Config) fault {
			return missing(c.Store.Kind == StoreNeo4j && c.Store.Neo4j.Password.value == "", "store.kind is neo4j", "set it, or store.neo4j.passwordFile")
		}},
		{"store.neo4j.tls.ca", "store.neo4j.uri", func(c Config) fault {
			scheme, _, _ := strings.Cut(c.Store.Neo4j.URI, "://")
			if c.Store.Neo4j.CA == "" || scheme == "" || strings.HasSuffix(scheme, "+s") {
				return fault{}
			}
			return fault{"has no effect with " + scheme + "://, which verifies no certificate", "write " + strings.TrimSuffix(scheme, "+ssc") + "+s:// in store.neo4j.uri, or take store.neo4j.tls.ca away"}
		}},
		{"redis.url", "cache.kind", func(c Config) fault {
			return missing(c.Cache.Kind == CacheRedis && c.Redis.URL.raw == "", "cache.kind is redis", "set it, such as redis://127.0.0.1:6379/0")
		}},
		{"cache.secret", "cache.kind", func(c Config) fault {
			return missing(c.Cache.Kind == CacheRedis && c.Cache.Secret.value == "", "cache.kind is redis", "set it, or cache.secretFile")
		}},
		{"redis.password", "redis.url", func(c Config) fault {
			if !c.Redis.URL.hasPassword() || c.Redis.Password.value == "" {
				return fault{}
			}
			return fault{"is set, and redis.url holds one too", "keep one of the two"}
		}},
		{"replica.maxStale", "replica.poll", func(c Config) fault {
			if c.Replica.MaxStale >= 2*c.Replica.Poll {
				return fault{}
			}
			return faultf("change one of the two", "is shorter than two of replica.poll (%s), so that the replica would hardly ever be ready", formatDuration(c.Replica.Poll))
		}},
		{"metrics.listen", "listen", func(c Config) fault {
			if !samePort(c.Listen, c.Metrics.Listen) {
				return fault{}
			}
			return fault{"is the service's own address", "choose another port, such as 9464"}
		}},
	}
}

func missing(is bool, why, do string) fault {
	if !is {
		return fault{}
	}
	return fault{"is missing, as " + why, do}
}

// samePort reports whether two addresses cannot both be listened on.
func samePort(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isEvery(hostA) || isEvery(hostB)
}

func isEvery(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// rules checks what settings must fulfil together. bad are the settings that are wrong by themselves.
func (l *loader) rules(out *Loaded, bad map[string]bool) {
	for _, r := range allRules() {
		if bad[r.key] || bad[r.other] {
			continue
		}
		if f := r.check(out.Config); !f.none() {
			l.problem(blame(out.source, r), r.key, l.shown(r.key, out.Config), f)
		}
	}
	for _, f := range Fields() {
		if f.only != always && !bad[f.Key] && !bad[f.only.key] {
			l.idle(f, out)
		}
	}
}

// blame is where the setting stands, or the other one, where that is what makes it wrong.
func blame(source map[string]string, r rule) string {
	if source[r.key] == fromDefault {
		return source[r.other]
	}
	return source[r.key]
}

// shown is a setting's value as it may be shown, nothing where that says nothing.
func (l *loader) shown(key string, c Config) string {
	f := l.names.settings[key]
	if text := f.at(&c).text(); !f.Secret && text != "" {
		return quote(text)
	}
	return ""
}

// idle tells of a setting that has no effect. Where the choice that makes it idle was made by nobody it is an
// error: whoever names a Neo4j server and forgets store.kind would find the graph elsewhere. Where it was made, a
// warning, so that one variable can switch a whole file over.
func (l *loader) idle(f Field, out *Loaded) {
	is := l.names.settings[f.only.key].at(&out.Config).text()
	if is == f.only.is || f.at(&out.Config).text() == f.Default {
		return
	}
	p := Problem{out.source[f.Key], f.Key, l.shown(f.Key, out.Config), "has no effect, as " + f.only.key + " is " + is, "set " + f.only.key + ": " + f.only.is + ", or take it away"}
	if out.source[f.only.key] == fromDefault {
		l.problems = append(l.problems, p)
		return
	}
	out.Warnings = append(out.Warnings, p)
}
