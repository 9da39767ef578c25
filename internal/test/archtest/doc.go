// Package archtest holds the rules about the shape of the code as tests, so that
// breaking one is a failure with a sentence and not a remark in a review. It
// exports nothing. docs/design.md tells the reasons.
package archtest
