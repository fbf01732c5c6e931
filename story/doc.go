// Package story tells an incident as ordered steps: when, which ATT&CK tactic, who did what to what, in
// sentences that come from templates and say no more than the evidence does.
package story
