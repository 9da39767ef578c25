// Package chainpack holds SHV values and their binary coding, ChainPack
// (spec.md 1).
//
// A Value is immutable and safe for concurrent use. Append writes values,
// Decode reads them; Skip, DecodeMeta and Scanner look at encoded bytes without
// building values, which is all that a forwarder needs.
//
// It is not the text form (package cpon), it knows no meta tags or message
// kinds (package rpc), and it does no I/O: the caller hands over whole slices.
//
// Input is taken to be hostile. No declared length, count or nesting decides
// memory: lengths are checked against the bytes that are there, depth and
// number of values against Limits. What is sent is always the minimal form;
// what is accepted is wider, as section 1.8 lists. BlobChain (8f) is refused.
package chainpack
