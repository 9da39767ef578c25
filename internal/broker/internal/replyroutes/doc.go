// Package replyroutes keeps the stacks of caller ids with which a link may
// answer (spec.md 7.1c). A Table belongs to one link. A route in it opens when a
// request goes to the link, or a response that asks for reverse caller ids; use
// does not close it. A route also remembers the latest requests that took it, so
// that a tunnel can be tied to the right of the call that asked for it.
//
// A route alone does not show which calls a device was asked, so an Opener remembers the
// ids that its session has sent, and where to (sentids): answers belong to calls
// (design.md 5).
//
// It is not a router: it does not know sessions, and it does not send anything.
//
// Routes cost memory that a peer can ask for by making caller ids up. So each
// session may open a bounded number of routes onto a link and onto all links
// together, with a bounded amount of text, and routes that nobody uses end after
// one or two generations of 30 minutes.
package replyroutes
