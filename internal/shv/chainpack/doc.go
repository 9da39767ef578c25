// Package chainpack holds SHV values and their binary coding, ChainPack (spec.md 1).
//
// A Value is immutable and safe for concurrent use. Append writes values and Decode reads them.
// DecodeMeta and Scanner look at encoded bytes without building values, which is all that a
// forwarder needs.
//
// It is not the text form (package cpon), it does not know meta tags or kinds of messages (package
// rpc), and it does no I/O: the caller passes whole slices.
//
// Input counts as hostile. No declared length, count or nesting decides how much memory is
// allocated: lengths are checked against the bytes that are there, depth and number of values
// against Limits. What is written is always the minimal form; what is read is wider (spec.md 1.8).
// BlobChain (8f) is refused.
package chainpack
