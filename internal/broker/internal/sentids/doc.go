// Package sentids remembers which request ids a connection has sent, and to which device
// each of them, so that no device answers a call that went to another one (design.md 5).
//
// It knows neither messages nor sessions. A device is a place: a number under which its link
// was asked, and which the links have too that take over its mount point.
//
// A connection costs nothing before its first call, then 28 to 34 bytes for each id that is
// remembered. Its tables grow in small steps, so that no call waits for a large one.
package sentids
