//go:build !linux

package realserver

import "os/exec"

// dieWithParent has no counterpart here: a killed test process leaves its servers behind.
func dieWithParent(*exec.Cmd) {}
