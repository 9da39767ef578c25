// Package shares divides what a broker has in all, such as queue space, among those who
// use it (design.md 15). A share is a reserve, not a cap: everybody may use what is free,
// but the last quarter of each total is kept for owners that use less than an even part.
//
// An owner is whoever something is charged to: a user, a mounted device, a broker, or a
// source of connections before their login. The package counts and decides; it does not
// know links, sessions or messages, and it ends nothing itself.
package shares
