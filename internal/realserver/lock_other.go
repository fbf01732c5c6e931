//go:build !unix

package realserver

import "os"

// lockFile locks nothing here: two processes may then download at once, and one of the copies is kept.
func lockFile(*os.File) error { return nil }
