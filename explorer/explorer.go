// Package explorer serves the built GraphiQL page; nothing it loads leaves the machine.
package explorer

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed all:dist
var dist embed.FS

// The page may load, run and ask only its own origin. Inline styles are allowed because Monaco writes its themes into style
// elements and places every line of text by a style attribute, and takes no nonce. Small icons in the style sheet are data:
// addresses.
const contentSecurityPolicy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; worker-src 'self'; " +
	"img-src 'self' data:; font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'"

// Types are given here because the host's own table may disagree, and nosniff makes a wrong one fatal.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".md":   "text/markdown; charset=utf-8",
	".svg":  "image/svg+xml",
	".ttf":  "font/ttf",
	".txt":  "text/plain; charset=utf-8",
	".wasm": "application/wasm",
}

type file struct {
	content      []byte
	contentType  string
	cacheControl string
	etag         string
}

// Handler serves the page at "/" and its files below it; the page posts to /graphql of the same origin. Its links are
// relative: mount it elsewhere with http.StripPrefix, at a path that ends in a slash.
func Handler() http.Handler {
	files := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		f, found := files[r.URL.Path]
		if !found {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		f.serve(w, r)
	})
}

func secure(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", f.cacheControl)
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// load reads every embedded file into a map keyed by its address, so a request can name nothing else.
func load() map[string]file {
	files := map[string]file{}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := dist.ReadFile(name)
		files[address(name)] = newFile(name, content)
		return err
	})
	if err != nil {
		panic("explorer: reading embedded files: " + err.Error()) // they are part of the binary
	}
	return files
}

func address(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "dist"), "index.html")
}

func newFile(name string, content []byte) file {
	sum := sha256.Sum256(content)
	return file{
		content:      content,
		contentType:  contentTypes[path.Ext(name)],
		cacheControl: cacheControl(name),
		etag:         `"` + hex.EncodeToString(sum[:16]) + `"`,
	}
}

// Names under assets hold a hash of the content and so never change meaning; the rest is asked for again each time.
func cacheControl(name string) string {
	if strings.HasPrefix(name, "dist/assets/") {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}
